"""A cell: one point of the matrix with every setting resolved, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.plan.adapter_source import ORIGIN
from harness.plan.task import Task, resolve_task, task_of_record, task_record
from harness.results.paths import folder_name
from harness.suite.dataset_entry import LM_EVAL_KEYS
from harness.suite.model_card import ModelCard
from harness.suite.schema import (
    AXES,
    BASE,
    CellAxes,
    DatasetEntry,
    Evaluation,
    Options,
)


@dataclass(frozen=True)
class Cell:
    """One point of the matrix; everything a worker needs."""

    model: ModelCard
    quantization: str
    quantization_config: Options
    """`BitsAndBytesConfig` keys; empty for none."""
    adapter: str
    adapter_config: Options
    """`peft_type` and the keys of its config, or `source`; empty for `base`."""
    dataset: DatasetEntry
    seed: int | None
    """The training seed; None for `base`."""
    training: Options
    task: Task
    """What is asked and how answers are scored, `evaluation` included."""
    generation: Options
    base_folder: str
    """The folder of the suite, which relative data paths start from."""
    backend: str = "hf"
    """What loads, answers and measures: a name in the registry of backends."""
    serve: str = "attached"
    """What is scored: `attached`, `merged` or `requantized`."""
    report_to: tuple[str, ...] = ()
    """The experiment trackers that are told of it. They change no result, so neither do these names
    the fingerprint: a finished cell stays current."""
    measures: bool = True
    """Whether speed is measured here, and not in another cell of the same model × quantization ×
    adapter; see `harness.plan.measuring`."""
    trained_on: DatasetEntry | None = None
    """The data set whose rows train the adapter, where it is not `dataset`: see `train_on`."""

    @property
    def evaluation(self) -> Evaluation:
        """How it is scored and measured."""
        return self.task.evaluation

    @property
    def is_baseline(self) -> bool:
        """Whether this is the untouched model."""
        return self.adapter == BASE

    @property
    def is_served(self) -> bool:
        """Whether a server answers: then nothing is trained, loaded or measured here."""
        return self.model.is_served

    @property
    def is_trained(self) -> bool:
        """Whether an adapter is trained, or one that was is put in place."""
        return not self.is_baseline and not self.is_served

    @property
    def has_answers(self) -> bool:
        """Whether test examples are answered: random weights have nothing to say."""
        return self.model.weights != "random"

    @property
    def is_measured(self) -> bool:
        """Whether speed is measured; of random weights nothing else is."""
        if self.is_served:  # seconds over a network are another quantity than those of decoding
            return False
        return (self.measures and self.evaluation.latency_prompts > 0) or not self.has_answers

    @property
    def axes(self) -> CellAxes:
        """The cell's name on each axis."""
        return {
            "model": self.model.name, "quantization": self.quantization,
            "adapter": self.adapter, "dataset": self.dataset.name, "seed": self.seed,
        }  # fmt: skip


def as_trained(cell: Cell) -> Cell:
    """The cell that trains the adapter of ``cell``: itself, or the one on `trained_on`.

    Both have the same fingerprint of training, so that one of them is enough.
    """
    if cell.trained_on is None:
        return cell
    task = resolve_task(
        cell.trained_on, Path(cell.base_folder), cell.evaluation, baseline=cell.is_baseline
    )
    return replace(cell, dataset=cell.trained_on, task=task, trained_on=None)


def cell_record(cell: Cell) -> dict[str, Any]:
    """``cell`` as plain JSON values."""
    # not `asdict`: it copies every nested list, which is half of the time of planning a large suite
    record = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(cell).items()
    }
    record["task"] = task_record(cell.task)
    for part in ("model", "dataset", "evaluation"):
        record[part] = getattr(cell, part).model_dump(mode="json")
    if cell.trained_on is None:
        del record["trained_on"]
    else:
        record["trained_on"] = cell.trained_on.model_dump(mode="json")
    return record


def cell_of_record(record: Mapping[str, Any]) -> Cell:
    """The cell that `cell_record` wrote, in this version or an earlier one."""
    rest = {key: value for key, value in record.items() if key != "evaluation"}
    dataset = DatasetEntry(**record["dataset"])
    evaluation = Evaluation(**record["evaluation"])
    if "task" in record:
        task = task_of_record(record["task"], evaluation)
    else:  # before schema 2 every reader resolved the task again
        folder, baseline = Path(record["base_folder"]), record["adapter"] == BASE
        task = resolve_task(dataset, folder, evaluation, baseline=baseline)
    if "trained_on" in rest:
        rest["trained_on"] = DatasetEntry(**rest["trained_on"])
    made = {
        "model": ModelCard(**record["model"]), "dataset": dataset, "task": task,
        "report_to": tuple(record.get("report_to", ())),
    }  # fmt: skip
    return Cell(**{**rest, **made})


def evaluated(cell: Cell, **options: object) -> Cell:
    """``cell`` with ``options`` of its evaluation replaced."""
    evaluation = cell.evaluation.model_copy(update=options)
    return replace(cell, task=replace(cell.task, evaluation=evaluation))


def identity_of(record: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    """``record`` of ``card`` with what decides a served model's answers, without its address."""
    kept = dict(record)
    if card.endpoint is None:
        kept.pop("endpoint", None)  # as before there was one: results stay current
    else:
        kept["endpoint"] = card.endpoint.identity
    return kept


def fingerprint(cell: Cell, *, content: dict[str, str]) -> str:
    """Sixteen hex digits over the resolved settings and ``content`` (hashes, code versions)."""
    record = cell_record(cell)
    record.pop("base_folder")
    record["model"] = identity_of(record["model"], cell.model)
    record.pop("report_to")
    if cell.model.is_local:  # its files are hashed in `content`; where they lie is no setting
        record["model"].pop("source")
    record["content"] = content
    for key in ORIGIN:  # the adapter's files are hashed in `content`, too
        record["adapter_config"].pop(key, None)
    if not cell.is_trained:
        record.pop("training")
    for entry in filter(None, (record["dataset"], record.get("trained_on"))):
        # as before there were these keys: results stay current
        for key in ("validation", *LM_EVAL_KEYS):
            if entry[key] is None:
                entry.pop(key)
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cell_key(axes: Mapping[str, object], cell_fingerprint: str) -> str:
    """The folder name of the cell on ``axes``: its names and eight digits of its fingerprint."""
    names = [str(axes[axis]) for axis in AXES[:-1]]
    seed = [] if axes["seed"] is None else [f"s{axes['seed']}"]
    return f"{folder_name([*names, *seed])}-{cell_fingerprint[:8]}"
