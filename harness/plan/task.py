"""What the scores of a cell depend on: task, language, labels, how answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from harness.datasets.lm_eval_task import describe_task
from harness.datasets.sources import source_of
from harness.errors import HarnessError
from harness.metrics.registry import scored_for
from harness.registry import did_you_mean
from harness.suite.schema import DatasetEntry, Evaluation


@dataclass(frozen=True)
class Task:
    """What the scores of a cell depend on; settled once, when the suite is expanded."""

    task: str
    """`generation`, `classification` or `lm_eval`, whose answers lm-evaluation-harness scores."""
    language: Literal["en", "ru"]
    labels: tuple[str, ...]
    evaluation: Evaluation
    answered_by: str = "generation"
    """How answers are read: `generation`, or for labels `head`, `likelihood` or `generation`."""
    primary_metric: str = ""
    """The metric the leaderboard orders this data set by."""
    numeric_rel_tol: float | None = None
    """The data set's own tolerance of numbers."""

    @property
    def tolerance(self) -> float | None:
        """The relative tolerance of numbers; None: the gold number's own decimals decide."""
        own = self.numeric_rel_tol
        return self.evaluation.numeric_rel_tol if own is None else own


def resolve_task(
    dataset: DatasetEntry,
    folder: Path,
    evaluation: Evaluation,
    *,
    baseline: bool,
    served: bool = False,
) -> Task:
    """The task of a cell on ``dataset``: what the suite says, else what the data set declares.

    Args:
        dataset: The entry on the suite's axis.
        folder: The folder of the suite, which relative data paths start from.
        evaluation: The cell's evaluation settings.
        baseline: Whether the cell is the untouched model.
        served: Whether a server answers: it gives texts, and no likelihood of a label.

    Raises:
        HarnessError: there is no such data set.
    """
    source = source_of(dataset, folder)
    task = dataset.task or source.task
    found = Task(
        task=task,
        language=dataset.language or source.language,
        labels=dataset.labels or source.labels,
        evaluation=evaluation,
        answered_by="generation" if served else _answered_by(task, dataset, baseline=baseline),
        primary_metric=dataset.primary_metric or source.primary_metric,
        numeric_rel_tol=dataset.numeric_rel_tol,
    )
    if dataset.primary_metric and dataset.lm_eval_task is None:
        _check_primary(found, dataset.name)
    elif dataset.primary_metric:
        _check_primary_of_lm_eval(dataset, folder)
    return found


def _check_primary_of_lm_eval(dataset: DatasetEntry, folder: Path) -> None:
    """Refuse a primary metric that the task does not compute."""
    known = describe_task(dataset, folder).metrics
    if dataset.primary_metric not in known:
        what = f'unknown metric "{dataset.primary_metric}" of {dataset.source or dataset.name}'
        where = f"data set {dataset.name}: primary_metric"
        raise HarnessError(what, where=where, hint=f"It has: {', '.join(known)}.")


def _check_primary(task: Task, dataset: str) -> None:
    """Refuse a primary metric that its cells would not have, or that says no direction."""
    ours = {record.name: record.higher_is_better for record in scored_for(task) if not record.of}
    given = {
        name: entry.higher_is_better
        for entry in task.evaluation.metrics
        for name in entry.names()
        if name not in ours and task.task == "generation"
    }
    known, name = {**ours, **given}, task.primary_metric
    where = f"data set {dataset}: primary_metric"
    if name not in known:
        what = f'unknown metric "{name}" for a {task.task} task'
        raise HarnessError(what, where=where, hint=did_you_mean(name, known))
    if (name in ours and ours[name] is None) or given.get(name) == "neither":
        what = f'"{name}" has no direction: rows cannot be ordered by it'
        ranked = sorted(metric for metric, direction in known.items() if direction is not None)
        raise HarnessError(what, where=where, hint=f"Choose one of {', '.join(ranked)}.")


def task_record(task: Task) -> dict[str, object]:
    """``task`` as plain JSON values, without its evaluation, which a cell's record holds."""
    names = [f.name for f in fields(task) if f.name != "evaluation"]
    record = {name: getattr(task, name) for name in names}
    return {**record, "labels": list(task.labels)}


def task_of_record(record: Mapping[str, Any], evaluation: Evaluation) -> Task:
    """The task that `task_record` wrote."""
    return Task(**{**record, "labels": tuple(record["labels"]), "evaluation": evaluation})


def _answered_by(task: str, dataset: DatasetEntry, *, baseline: bool) -> str:
    """A baseline has no trained head: its labels are ranked by their likelihood."""
    if task != "classification":
        return "generation"
    mode = dataset.classify_by
    return "likelihood" if mode == "head" and baseline else mode
