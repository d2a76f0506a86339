"""What is wrong with a suite beyond its keys: the names in it, its data, what its adapters target.

Each problem carries its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.counting import counted
from harness.datasets.sources import source_of, sources_of
from harness.datasets.splits import prepare
from harness.errors import HarnessError, SkipCell, SuiteError
from harness.plan.adapter_source import adapter_config, base_notes, unpinned
from harness.plan.architecture import architecture_of
from harness.plan.expand import card_of, quantization_config
from harness.plan.hub import (
    is_data_cached,
    is_reachable,
    switched_off_if_unreachable,
    uncached_reason,
)
from harness.plan.modules import layer_names, target_error
from harness.plan.task import Task, resolve_task
from harness.registry import did_you_mean
from harness.suite.loading import option_blocks
from harness.suite.model_card import ModelCard
from harness.suite.repair import STAND_IN
from harness.suite.schema import (
    AXES,
    BASE,
    AdapterEntry,
    DatasetEntry,
    Entry,
    Evaluation,
    Suite,
    axis_names,
    entry_of,
)
from harness.suite.tiny_twin import tiny_twin
from harness.suite.yaml_file import YamlFile
from harness.trackers.names import TRACKERS, missing_reason, named

MetricCheck = Callable[[Evaluation, Task], None]
"""Loads the extra metrics of an evaluation; raises where one cannot be loaded."""


@dataclass(frozen=True)
class Depth:
    """How far a check goes."""

    data: bool = True
    """Read the rows of the data sets."""
    hub: bool = False
    """Fetch data sets from the hub for it."""
    metrics: MetricCheck | None = None
    """Load extra metrics by this."""
    cells: bool = True
    """Expand the suite to its cells."""


class SuiteCheck:
    """The checks of one suite that need more than its keys."""

    def __init__(
        self, file: YamlFile, suite: Suite, depth: Depth, found: tuple[str, ...] = ()
    ) -> None:
        self.file = file
        self.found = found
        """Problems of keys and values; an entry that has one as a whole is left with its name."""
        self.suite = suite
        self.depth = depth
        self.folder = file.path.resolve().parent
        self.notes: list[str] = []
        self.cards: dict[str, ModelCard] = {}
        self.trained: dict[str, Path] = {}
        """Adapter with a `source` → its folder."""
        self.quantized: set[str] = set()
        """Quantizations that change the weights."""

    def problems(self) -> Iterator[str]:
        """Each as ``file:line: key: what``."""
        for axis in AXES[:-1]:
            for number, item in enumerate(getattr(self.suite.matrix, axis)):
                name = item if isinstance(item, str) else item.name
                if name == BASE or str(name).startswith(STAND_IN):
                    continue
                place: list[str | int] = ["matrix", axis, number]
                if any(problem.startswith(self._where(place)) for problem in self.found):
                    continue
                try:
                    yield from self._entry(axis, entry_of(axis, item), place)
                except HarnessError as error:
                    yield self._problem(place, error)
        yield from self._included()
        yield from self._bases()
        yield from self._packed()
        yield from self._targets()
        yield from self._trackers()
        yield from self._tiny()

    def _where(self, place: list[str | int]) -> str:
        return f"{self.file.place(place)}: "

    def _problem(self, place: list[str | int], error: HarnessError) -> str:
        where = self._where(place)
        if isinstance(error, SuiteError):
            return where + "\n  ".join(error.problems)
        return where + str(error)

    def _entry(self, axis: str, entry: Entry, place: list[str | int]) -> Iterator[str]:
        if axis == "model":
            self.cards[entry.name] = card_of(entry, self.file.path)  # type: ignore[arg-type]
        elif axis == "quantization":
            if quantization_config(entry):  # type: ignore[arg-type]
                self.quantized.add(entry.name)
        elif axis == "adapter":
            self._adapter(entry)  # type: ignore[arg-type]
        elif isinstance(entry, DatasetEntry):
            yield from self._dataset(entry, place)

    def _adapter(self, entry: AdapterEntry) -> None:
        config = adapter_config(entry, self.file.path)
        if entry.source is not None:
            self.trained[entry.name] = Path(config["source"])
        if note := unpinned(entry, config):
            self.notes.append(note)

    def _bases(self) -> Iterator[str]:
        """Adapters that were trained on another model than one that they are paired with."""
        for number, name in enumerate(axis_names(self.suite.matrix.adapter)):
            for card in self._paired(name) if name in self.trained else ():
                try:
                    base_notes(self.trained[name], card, name)
                except HarnessError as error:
                    yield self._problem(["matrix", "adapter", number, "source"], error)

    def _packed(self) -> Iterator[str]:
        """Quantizations of a GGUF file, which transformers refuses only when it loads."""
        for number, name in enumerate(axis_names(self.suite.matrix.quantization)):
            for card in self.cards.values() if name in self.quantized else ():
                if not card.gguf_file or self._excluded(model=card.name, quantization=name):
                    continue
                what = f'model "{card.name}" is a GGUF file, which takes no other quantization'
                hint = f"`exclude` {{model: {card.name}, quantization: {name}}}."
                error = HarnessError(what, hint=hint)
                yield self._problem(["matrix", "quantization", number], error)

    def _dataset(self, entry: DatasetEntry, place: list[str | int]) -> Iterator[str]:
        sources = sources_of(entry, self.folder)
        yield from self._metrics(entry, place)
        if trained := self._trained_on(entry):
            what = f"the set only tests, and {', '.join(trained)} would be trained on it"
            hint = "Raise it, give the adapter a `source`, or `exclude` the pair."
            yield self._problem([*place, "train"], HarnessError(what, hint=hint))
            return
        if not self.depth.data:
            return
        far = [each.name for each in sources if each.needs_network]
        if far and not self.depth.hub:
            return
        lost = [name for name in far if not is_data_cached(name)]
        if lost and not is_reachable():
            self.notes.append(f"{entry.name}: not read: data set {uncached_reason(lost[0])}")
            return
        try:
            with switched_off_if_unreachable() if far else nullcontext():
                found = prepare(entry, self.folder)
        except SkipCell as reason:
            self.notes.append(f"{entry.name}: not read: {reason}")
            return
        train, tested = found.counts["train_rows"], found.counts["test_rows"]
        how = "".join(f"; {remark}" for remark in found.remarks)
        self.notes.append(
            f"{entry.name}: {counted(train, 'training row')}, {counted(tested, 'test row')}{how}"
        )

    def _trained_on(self, entry: DatasetEntry) -> list[str]:
        """The adapters that would be trained on a set that has no training rows."""
        return [
            adapter.name
            for adapter in (self.suite.matrix.adapter if entry.only_tests else ())
            if isinstance(adapter, AdapterEntry) and adapter.source is None
            if not self._excluded(dataset=entry.name, adapter=adapter.name)
        ]

    def _metrics(self, entry: DatasetEntry, place: list[str | int]) -> Iterator[str]:
        """Extra metrics that cannot be loaded, for the suite's and the entry's own evaluation."""
        if self.depth.metrics is None:
            return
        settings = {**self.suite.evaluation.model_dump(), **entry.evaluation}
        try:
            evaluation = Evaluation(**settings)
        except ValueError:
            return  # reading the file has said so
        task = resolve_task(entry, self.folder, evaluation, baseline=False)
        try:
            self.depth.metrics(evaluation, task)
        except HarnessError as error:
            own = "metrics" in entry.evaluation
            yield self._problem([*place, "evaluation"] if own else ["evaluation", "metrics"], error)

    def _included(self) -> Iterator[str]:
        """Names in `include` that no axis has; a new cell may name what the axis has not."""
        points = self.suite.matrix.training
        for number, rule in enumerate(self.suite.include):
            for axis in AXES[:-1]:
                known = [n for n in axis_names(getattr(self.suite.matrix, axis)) if n != BASE]
                if axis == "adapter":
                    known = [f"{n}+{p.name}" for n in known for p in points] or known
                    known.append(BASE)
                value = rule.get(axis)
                if value is not None and value not in known:
                    shown = [str(n) for n in known if not str(n).startswith(STAND_IN)]
                    hint = did_you_mean(str(value), shown)
                    error = HarnessError(f'"{value}" is not on the axis. {hint}')
                    yield self._problem(["include", number, axis], error)

    def _targets(self) -> Iterator[str]:
        """Adapters whose `target_modules` match no layer of a model that they are paired with."""
        for number, entry in enumerate(self.suite.matrix.adapter):
            if not isinstance(entry, AdapterEntry) or not entry.config.get("target_modules"):
                continue
            targets = entry.config["target_modules"]
            for card in self._paired(entry.name):
                names = layer_names(architecture_of(card))
                if names is not None and (error := target_error(targets, names, card.name)):
                    place: list[str | int] = ["matrix", "adapter", number, "config"]
                    yield self._problem([*place, "target_modules"], error)

    def _trackers(self) -> Iterator[str]:
        """Trackers that are not installed here."""
        for block in option_blocks(self.suite):
            if block.kind == "training" and "report_to" in block.options:
                for name in named(block.options["report_to"]):
                    if name in TRACKERS and (reason := missing_reason(name)):
                        yield self._problem([*block.place, "report_to"], HarnessError(reason))

    def _paired(self, adapter: str) -> list[ModelCard]:
        """The models that ``adapter`` is trained or put on."""
        cards = self.cards.values()
        return [c for c in cards if not self._excluded(model=c.name, adapter=adapter)]

    def _excluded(self, **pair: str) -> bool:
        """Whether a rule of `exclude` takes out every cell of the pair of names, by axis."""
        return any(
            rule and all(pair.get(axis) == value for axis, value in rule.items())
            for rule in self.suite.exclude
        )

    def _tiny(self) -> Iterator[str]:
        """What `--tiny` would meet."""
        if self.suite.tiny is None:
            return
        place: list[str | int] = ["tiny"]
        try:
            twin = tiny_twin(self.suite, str(self.file.path))
            card_of(entry_of("model", self.suite.tiny.model), self.file.path)
            for item in twin.matrix.dataset:
                entry = entry_of("dataset", item)
                # other rows, or another number of them: neither was looked at above
                if not entry.name.startswith(STAND_IN) and self.suite.tiny.dataset:
                    place = ["tiny", "dataset"]
                    if not source_of(entry, self.folder).needs_network and self.depth.data:
                        prepare(entry, self.folder)
        except HarnessError as error:
            yield self._problem(place, error)
        except ValidationError as error:
            for found in error.errors():
                what = str(found["msg"]).removeprefix("Value error, ")
                keys = [part for part in found["loc"] if part not in ("int", "float", "str")]
                yield self._problem(["tiny", "dataset", *keys], HarnessError(what))
