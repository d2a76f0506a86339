"""On how many devices cells were trained: times of training compare on equal numbers alone."""

from __future__ import annotations

from collections.abc import Iterable

from harness.metrics.registry import find
from harness.results.result import CellResult

TRAINING = "train_"
"""How the names of what training took begin."""


def training_devices(cell: CellResult) -> int:
    """How many devices trained ``cell``; 1 where its result does not say."""
    how = (cell.facts.get("trained") or {}).get("training") or {}
    return int(how.get("devices", 1))


def numbers_of_devices(cells: Iterable[CellResult]) -> set[int]:
    """The different numbers of devices that trained ``cells``, as far as they were trained."""
    return {training_devices(cell) for cell in cells if cell.value("train_seconds")}


def is_training_speed(metric: str) -> bool:
    """Whether ``metric`` is a speed of training, which more devices change."""
    record = find(metric)
    return record is not None and record.same_hardware and metric.startswith(TRAINING)
