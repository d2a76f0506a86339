"""What the scores of a cell depend on: task, language, labels, how answers are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.datasets.sources import source_of
from harness.plan.cell import Cell
from harness.suite.schema import Evaluation

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Task:
    """What the scores of a data set depend on."""

    task: str
    language: Literal["en", "ru"]
    labels: tuple[str, ...]
    evaluation: Evaluation
    answered_by: str = "generation"
    """How answers are read: `generation`, or for labels `head`, `likelihood` or `generation`."""


def task_of(cell: Cell) -> Task:
    """What the scores of ``cell`` depend on: the suite's word, else the data set's own."""
    source = source_of(cell.dataset, Path(cell.base_folder))
    return Task(
        task=cell.dataset.task or source.task,
        language=cell.dataset.language or source.language,
        labels=cell.dataset.labels or source.labels,
        evaluation=cell.evaluation,
        answered_by=_answered_by(cell, cell.dataset.task or source.task),
    )


def _answered_by(cell: Cell, task: str) -> str:
    """A baseline has no trained head: its labels are ranked by their likelihood."""
    if task != "classification":
        return "generation"
    mode = cell.dataset.classify_by
    return "likelihood" if mode == "head" and cell.is_baseline else mode
