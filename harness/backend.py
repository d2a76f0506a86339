"""The seam between a cell and a training stack: what a backend is asked, what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from harness.cell import Cell
from harness.datasets.example import Splits
from harness.device import Device
from harness.metrics.facts import fact
from harness.paths import CellPaths
from harness.registry import Registry
from harness.results import Value
from harness.scoring import Task


@dataclass
class Seen:
    """What the models showed: one record per test example, measurements, and the audit."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """In the order of the test examples: what the model was asked (`prompt`), what it answered
    (`prediction`; for labels `predicted_label`, None if unparsed), `finish_reason`, counts."""
    repeats: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """How an unchanged evaluation was repeated → records of the first test examples, in order."""
    control: list[dict[str, Any]] = field(default_factory=list)
    """Scored records of the control set, where the suite has one and the model a language head."""
    values: list[Value] = field(default_factory=list)
    """Measurements: memory, latency, training time."""
    audit: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds per phase."""
    train_log: list[dict[str, float]] = field(default_factory=list)

    def measured(self, numbers: dict[str, float], note: str | None = None) -> None:
        """Add measurements under their metric names."""
        for name, number in numbers.items():
            self.values.append(Value(name, number, *fact(name), note=note))


def known(numbers: dict[str, float | None]) -> dict[str, float]:
    """``numbers`` without those that could not be measured here."""
    return {name: number for name, number in numbers.items() if number is not None}


class Backend(Protocol):
    """A training stack."""

    def __call__(
        self, cell: Cell, task: Task, splits: Splits, paths: CellPaths, device: Device
    ) -> Seen:
        """Train ``cell``'s adapter (unless `base`), predict the test examples, measure.

        Raises:
            SkipCell: the cell cannot run here.
            HarnessError: a setting is wrong in a way that only the stack can see.
        """


BACKENDS: Registry[str] = Registry("backend")
"""Name → module whose ``evaluate_cell`` is the backend; imported only in a worker."""
BACKENDS.add("hf", "harness.hf.backend")
BACKENDS.add("testing", "harness.testing")


def backend_of(name: str) -> Backend:
    """The backend called ``name``."""
    backend: Backend = import_module(BACKENDS.get(name)).evaluate_cell
    return backend
