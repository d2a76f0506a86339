"""A suite to its cells: the matrix multiplied out, every setting resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.plan.adapter_source import adapter_config
from harness.plan.cell import Cell
from harness.plan.devices import check_split, with_devices
from harness.plan.served import PROMPT_KEYS, served_cell
from harness.plan.task import resolve_task
from harness.plan.trainer import refuse_served_task, trainer_of
from harness.registry import did_you_mean
from harness.suite.endpoint import SERVED
from harness.suite.model_card import ModelCard, find_model_card, model_folders, resolve_source
from harness.suite.parts import OVERRIDES
from harness.suite.schema import (
    AXES,
    BASE,
    QUANTIZATIONS,
    DatasetEntry,
    Evaluation,
    ModelEntry,
    Options,
    QuantizationEntry,
    Suite,
    entry_of,
)
from harness.trackers.names import named

DEFAULT_TRAINING: Options = {"num_train_epochs": 1, "learning_rate": 2e-4, "loss_on": "answer"}
DEFAULT_GENERATION: Options = {"max_new_tokens": 128, "do_sample": False}


def expand(suite: Suite, path: Path, *, backend: str = "hf") -> list[Cell]:
    """Every cell of ``suite``: for each model × quantization × dataset the baseline, then adapters.

    Raises:
        HarnessError: a name is unknown, or nothing is left after `exclude`.
    """
    resolver = _Resolver(suite, path, backend)
    cells = [resolver.cell(point) for point in _points(suite, resolver)]
    if not cells:
        hint = "Relax `exclude`, or fill the axes."
        raise HarnessError("the matrix is empty: no cell is left", where=str(path), hint=hint)
    return cells


class _Resolver:
    """Names on the axes to settings, each looked up once."""

    def __init__(self, suite: Suite, path: Path, backend: str) -> None:
        self.suite = suite
        self.backend = backend
        self.path = path
        self.entries = {axis: self._entries(axis) for axis in AXES[:-1]}
        self.sweep: dict[str, Options] = {}
        self._cross_with_sweep()
        self._cards: dict[str, ModelCard] = {}
        self._evaluations: dict[str, Evaluation] = {}

    def _entries(self, axis: str) -> dict[str, Any]:
        items = [i for i in getattr(self.suite.matrix, axis) if i != BASE]
        entries = {}
        for item in items:
            try:
                entry = entry_of(axis, item)
            except HarnessError as error:
                raise HarnessError(
                    f"matrix.{axis}: {error.what}", where=str(self.path), hint=error.hint
                ) from None
            entries[entry.name] = entry
        return entries

    def _cross_with_sweep(self) -> None:
        """Every adapter under each entry of `matrix.training`, named `<adapter>+<entry>`."""
        crossed = {}
        for name, entry in self.entries["adapter"].items():
            for point in self.suite.matrix.training:
                crossed[f"{name}+{point.name}"] = entry
                self.sweep[f"{name}+{point.name}"] = point.options
        if crossed:
            self.entries["adapter"] = crossed

    def cell(self, point: Options) -> Cell:
        """The resolved cell at ``point``: axis names plus overrides of `include`."""
        card = self._card(point["model"])
        if card.is_served:
            return self._served(point, card)
        quantization = self._entry("quantization", point)
        dataset: DatasetEntry = self._entry("dataset", point)
        adapter = None if point["adapter"] == BASE else self._entry("adapter", point)
        merged = self._merged(
            [quantization, adapter, dataset, self._entry("model", point)], card, point
        )
        if dataset.only_tests and adapter is not None and adapter.source is None:
            raise HarnessError(
                f'data set "{dataset.name}" only tests (`train: 0`), and adapter'
                f' "{point["adapter"]}" is to be trained on it',
                where=str(self.path),
                hint="Raise `train`, give the adapter a `source`, or `exclude` the pair.",
            )
        folder = self.path.resolve().parent
        trained = adapter is not None and adapter.source is None
        trainer = trainer_of(dataset, self.entries["dataset"], self.path) if trained else None
        if trainer is not None:
            entries = [quantization, adapter, trainer, self._entry("model", point)]
            merged["training"] = self._merged(entries, card, point)["training"]
        report_to = named(merged["training"].pop("report_to", None))
        cell = Cell(
            model=card,
            quantization=quantization.name,
            quantization_config=quantization_config(quantization),
            adapter=point["adapter"],
            adapter_config=adapter_config(adapter, self.path),
            dataset=dataset.without_overrides(),
            seed=None if adapter is None else point["seed"],
            training={} if adapter is None else {**DEFAULT_TRAINING, **merged["training"]},
            task=resolve_task(
                dataset,
                folder,
                self._evaluation(merged["evaluation"]),
                baseline=adapter is None,
            ),
            generation={**DEFAULT_GENERATION, **merged["generation"]},
            base_folder=str(folder),
            backend=self.backend,
            serve="attached" if adapter is None else adapter.serve,
            trained_on=trainer and trainer.without_overrides(),
            report_to=report_to,
        )
        check_split(cell, str(self.path))
        return with_devices(cell, str(self.path))

    def _served(self, point: Options, card: ModelCard) -> Cell:
        dataset: DatasetEntry = self._entry("dataset", point)
        refuse_served_task(dataset, card, self.path)
        merged = self._merged([dataset, self._entry("model", point)], card, point)
        cell = served_cell(
            card,
            dataset.without_overrides(),
            self._evaluation(merged["evaluation"]),
            generation={**DEFAULT_GENERATION, **merged["generation"]},
            suite=self.path,
            local=[name for name in self.entries["model"] if not self.is_served(name)],
        )
        return replace(cell, report_to=named(merged["training"].get("report_to")))

    def _entry(self, axis: str, point: Options) -> Any:
        name = point[axis]
        if name not in self.entries[axis]:
            hint = did_you_mean(str(name), self.entries[axis])
            raise HarnessError(
                f'unknown {axis} "{name}" in include', where=str(self.path), hint=hint
            )
        return self.entries[axis][name]

    def _merged(self, entries: list[Any], card: ModelCard, point: Options) -> dict[str, Options]:
        merged = {
            "training": {**self.suite.training, **card.training},
            "evaluation": self.suite.evaluation.model_dump(mode="json"),
            "generation": {**self.suite.generation, **card.generation},
        }
        for entry in entries:
            for kind in OVERRIDES if entry else ():
                merged[kind] = {**merged[kind], **getattr(entry, kind)}
        merged["training"].update(self.sweep.get(point["adapter"], {}))
        for kind in OVERRIDES:
            merged[kind] = {**merged[kind], **point.get(kind, {})}
        return merged

    def _evaluation(self, options: Options) -> Evaluation:
        text = json.dumps(options, sort_keys=True)
        if text in self._evaluations:  # thousands of cells have one of a few
            return self._evaluations[text]
        try:
            made = self._evaluations[text] = Evaluation(**options)
            return made
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise HarnessError(f"evaluation.{key}: {first['msg']}", where=str(self.path)) from None

    def _card(self, name: str) -> ModelCard:
        if name not in self._cards:
            self._cards[name] = card_of(self._entry("model", {"model": name}), self.path)
            self._cards[name] = self._with_template_settings(self._cards[name])
        return self._cards[name]

    def is_served(self, name: str) -> bool:
        """Whether a server answers for the model ``name``."""
        return self._card(name).is_served

    def _with_template_settings(self, card: ModelCard) -> ModelCard:
        """``card`` with the suite's template variables and date where it has none of its own."""
        kwargs = {**self.suite.template_kwargs, **card.template_kwargs}
        day = card.template_date or self.suite.template_date
        return card.model_copy(update={"template_kwargs": kwargs, "template_date": day})


def card_of(entry: ModelEntry, suite: Path) -> ModelCard:
    """The model card that ``entry`` names or writes in place.

    Raises:
        HarnessError: there is none of the name, or it is not valid.
    """
    folders = model_folders(suite.parent)
    if entry.endpoint is not None:
        entry = entry.model_copy(
            update={"card": {**(entry.card or {}), "endpoint": entry.endpoint.model_dump()}}
        )
    if entry.like is not None:
        like = find_model_card(entry.like, folders).model_dump()
        if (entry.card or {}).get("endpoint"):  # its prompts are kept, its weights are not
            like = {key: like[key] for key in PROMPT_KEYS}
        return _card_in_place(entry.name, {**like, **(entry.card or {})}, suite)
    if entry.card is None:
        return find_model_card(entry.name, folders)
    return _card_in_place(entry.name, entry.card, suite)


def _card_in_place(name: str, card: Options, suite: Path) -> ModelCard:
    try:
        made = ModelCard(**{**card, "name": name})
    except ValidationError as error:
        text = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise HarnessError(f'model "{name}": card: {text}', where=str(suite)) from None
    return resolve_source(made, suite.resolve().parent)


def quantization_config(entry: QuantizationEntry) -> Options:
    """`BitsAndBytesConfig` keys of ``entry``: its own, or those of the built-in of its name."""
    if entry.config is not None:
        return entry.config
    if entry.name not in QUANTIZATIONS:
        hint = did_you_mean(entry.name, QUANTIZATIONS)
        raise HarnessError(f'unknown quantization "{entry.name}"', hint=hint)
    return QUANTIZATIONS[entry.name]


def _points(suite: Suite, resolver: _Resolver) -> Iterator[Options]:
    """Axis names (and overrides) of every cell, in matrix order."""
    names = {axis: list(resolver.entries[axis]) for axis in AXES[:-1]}
    combos: list[Options] = []
    for model, quantization, dataset in product(
        names["model"], names["quantization"], names["dataset"]
    ):
        shared = {"model": model, "quantization": quantization, "dataset": dataset}
        if resolver.is_served(model):
            if quantization == names["quantization"][0]:  # one cell, whatever the axes hold
                combos.append({**shared, "quantization": SERVED, "adapter": SERVED, "seed": None})
            continue
        combos.append({**shared, "adapter": BASE, "seed": None})
        for adapter, seed in product(names["adapter"], suite.matrix.seed):
            combos.append({**shared, "adapter": adapter, "seed": seed})
    kept = [c for c in combos if not any(_matches(c, rule) for rule in suite.exclude)]
    yield from _included(kept, suite)


def _matches(combo: Options, rule: Options) -> bool:
    return bool(rule) and all(combo.get(axis) == value for axis, value in rule.items())


def _included(combos: list[Options], suite: Suite) -> list[Options]:
    """``combos`` with `include` applied: extend what matches, else add a new combination."""
    originals = [dict(combo) for combo in combos]
    for rule in suite.include:
        axes = {axis: value for axis, value in rule.items() if axis in AXES}
        extra = {kind: value for kind, value in rule.items() if kind in OVERRIDES}
        hits = [i for i, original in enumerate(originals) if _matches(original, axes) or not axes]
        for i in hits:
            combos[i].update({k: {**combos[i].get(k, {}), **v} for k, v in extra.items()})
        if not hits:
            combos.append(_new_combination(axes, extra))
    return combos


def _new_combination(axes: Options, extra: Options) -> Options:
    missing = [axis for axis in AXES[:-1] if axis not in axes]
    if missing:
        raise HarnessError(
            f"include: {axes} matches no cell and names no {', '.join(missing)}",
            hint="Name every axis to add a new cell, or correct the values to match one.",
        )
    seed = None if axes["adapter"] == BASE else axes.get("seed", 0)
    return {**axes, "seed": seed, **extra}
