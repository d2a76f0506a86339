"""The seam between a cell and a training stack: four verbs, and what each of them returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple, Protocol, runtime_checkable

from harness.collector import uncollected
from harness.datasets.control import ControlItem
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.plan.backends import BACKENDS, need_backend
from harness.plan.cell import Cell
from harness.results.paths import CellPaths

AcceptRows = Callable[[Mapping[str, int]], None]
"""Raises where what the audit of the training rows counted is not acceptable."""


@dataclass(frozen=True)
class BackendResult:
    """What a verb found out, besides what it wrote to disk."""

    numbers: dict[str, float] = field(default_factory=dict)
    """Measurements by metric name, such as `load_vram_mib`."""
    facts: dict[str, object] = field(default_factory=dict)
    """Read from the loaded model: dtypes, module counts, adapter proof."""


@dataclass(frozen=True)
class Training(BackendResult):
    """What training found out; the adapter itself is on disk."""

    audit: dict[str, int] = field(default_factory=dict)
    """Counts of the audit of the training rows: rows, cut rows, rows without a loss token."""
    log: list[dict[str, float]] = field(default_factory=list)
    """One record per logged step."""
    seconds: float = 0.0
    """Of the steps alone, without those that the worker stood still."""
    step: float = 0.0
    """Median seconds of a step after the first."""


@dataclass(frozen=True)
class Answers(BackendResult):
    """What a model answered."""

    records: list[Prediction] = field(default_factory=list)
    """One per example, in order: what the model was asked (`prompt`), what it answered
    (`prediction`; for labels `predicted_label`, None if unparsed), `finish_reason`, counts."""


@dataclass(frozen=True)
class Asking:
    """How examples are asked."""

    batch_size: int
    """Examples decoded or scored together."""
    seed: int = 0
    """The seed of sampled answers; greedy ones have none."""
    likelihoods: bool = True
    """Whether the likelihood of the references is wanted too."""
    copies: bool = False
    """Whether the answers may be made with copies of packed weights, which take more memory."""


class Piece(NamedTuple):
    """An answer as far as it has been decoded."""

    text: str
    """All of it so far, as a prediction is written."""
    new_tokens: int
    finish_reason: str | None = None
    """`stop` or `length` when it is complete; None before."""


class EndingScores(NamedTuple):
    """Negative log-likelihoods in nats of a control set's endings, given their beginnings."""

    right: list[float]
    wrong: list[float]


class AnsweringBackend(Protocol):
    """A stack that serves a cell; somebody else may have trained its adapter."""

    def load(self, probe: Example) -> BackendResult:
        """Load what the cell serves: the base, with the adapter on disk unless it is `base`.

        Args:
            probe: An example on which an attached adapter must change the model's output.

        Raises:
            SkipCell: the cell cannot run here.
            HarnessError: the adapter changes nothing: it is not active.
        """

    def predict(self, test: Sequence[Example], asking: Asking) -> Answers:
        """What the loaded model answers to ``test``."""

    def measure(self, test: Sequence[Example]) -> BackendResult:
        """Latency, throughput and memory of the loaded model, on the first of ``test``."""


class Backend(AnsweringBackend, Protocol):
    """A training stack: it trains a cell's adapter and serves it."""

    def fine_tune(self, train: Sequence[Example], accept: AcceptRows) -> Training:
        """Train the cell's adapter on ``train`` and save it in the cell's folder.

        Args:
            train: The training examples, in order.
            accept: Called with the audit of the rows before the first step.

        Raises:
            SkipCell: the cell cannot run here.
            HarnessError: a setting is wrong in a way that only the stack can see.
        """


TellStep = Callable[[Mapping[str, float]], None]
"""Is called with each record of a training's log when it is there; the step is in it."""


@runtime_checkable
class ReportsSteps(Protocol):
    """A backend that can tell of its steps while it trains; others do so with `Training.log`."""

    def report_steps(self, tell: TellStep) -> None:
        """Call ``tell`` with each record of the log from now on."""


@runtime_checkable
class ScoresEndings(Protocol):
    """A backend that can also score a control set; asked where a suite has one."""

    def score_endings(self, items: Sequence[ControlItem]) -> EndingScores:
        """How likely the loaded model finds each item's two endings."""


@runtime_checkable
class StreamsAnswers(Protocol):
    """A backend that can also show an answer while it is decoded; others answer in one piece."""

    def stream(self, example: Example, asking: Asking) -> Iterator[Piece]:
        """The answer of the loaded model to ``example``, growing token by token.

        The last piece is what `predict` answers to ``example`` alone. Work is done only while the
        next piece is asked for, so that two answers can be decoded in turns.
        """


@dataclass(frozen=True)
class TaskRun(BackendResult):
    """What lm-evaluation-harness found out of the loaded model."""

    results: dict[str, Any] = field(default_factory=dict)
    """The tool's results file, without samples: values, versions, settings."""
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Task → the tool's log of each document under each filter."""


@runtime_checkable
class RunsTasks(Protocol):
    """A backend on whose loaded model lm-evaluation-harness can run a task."""

    def run_task(self) -> TaskRun:
        """The cell's task, asked and scored by the tool."""


def answering_backend(cell: Cell, paths: CellPaths, device: Device) -> AnsweringBackend:
    """The backend that serves ``cell``."""
    opened: AnsweringBackend = _open(cell.backend, cell, paths, device)
    return opened


def training_backend(cell: Cell, paths: CellPaths, device: Device) -> Backend:
    """The backend that trains for the one that serves ``cell``.

    Raises:
        HarnessError: it cannot train.
    """
    name = BACKENDS.get(cell.backend).trained_by
    opened = _open(name, cell, paths, device)
    if not hasattr(opened, "fine_tune"):
        hint = "Register it with `trained_by` the name of one that can, such as hf."
        raise HarnessError(f'backend "{name}" cannot train', hint=hint)
    backend: Backend = opened
    return backend


def _open(name: str, cell: Cell, paths: CellPaths, device: Device) -> Any:
    need_backend(name, f"the backend {name}")
    with uncollected():
        module = import_module(BACKENDS.get(name).module)
    return module.open_backend(cell, paths, device)


def without_missing(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """``numbers`` without those that could not be measured here."""
    return {name: number for name, number in numbers.items() if number is not None}


class Device(Protocol):
    """The seam between a worker and whoever started it."""

    def stage(self, name: str) -> None:
        """Say that the cell is now in stage ``name``."""

    def exclusive(self) -> AbstractContextManager[None]:
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
