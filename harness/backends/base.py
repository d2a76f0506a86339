"""The seam between a cell and a training stack: what a backend is asked, what it returns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from harness.datasets.example import Splits
from harness.plan.cell import Cell
from harness.plan.task import Task
from harness.registry import Registry
from harness.results.paths import CellPaths
from harness.results.result import Value, value_of


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
            self.values.append(value_of(name, number, note=note))


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
BACKENDS.add("hf", "harness.backends.hf.backend")
BACKENDS.add("testing", "harness.backends.testing")


def backend_of(name: str) -> Backend:
    """The backend called ``name``."""
    backend: Backend = import_module(BACKENDS.get(name)).evaluate_cell
    return backend


class Device(Protocol):
    """The seam between a worker and whoever started it."""

    def stage(self, name: str) -> None:
        """Tell that the cell is now in stage ``name``."""

    def exclusive(self) -> Any:
        """A context in which no other cell runs on the device."""

    def paused_seconds(self, since: float) -> float:
        """Seconds this worker stood still for others since `time.monotonic` read ``since``."""

    def exclusivity(self) -> dict[str, float]:
        """What was seen of other workers while this one measured; empty before it has."""


def elapsed(device: Device, since: float) -> float:
    """Seconds since `time.monotonic` read ``since``, without those that the worker stood still."""
    return time.monotonic() - since - device.paused_seconds(since)


class Alone:
    """A worker run by hand: nobody to wait for."""

    def stage(self, name: str) -> None:
        """Print the stage."""
        print(f"· {name}", flush=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing to do: no other cell runs."""
        yield

    def paused_seconds(self, since: float) -> float:
        """Never paused."""
        return 0.0

    def exclusivity(self) -> dict[str, float]:
        """Nobody looked for other workers: there is nothing to say."""
        return {}
