"""A worker process of this machine, as the executor that started it sees it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from harness.results.paths import CellPaths
from harness.run.executors.cards import Card
from harness.run.executors.limits import Watch


@dataclass(frozen=True)
class Exclusivity:
    """How alone a worker was while it measured."""

    stopped: int = 0
    """Other workers, all of them stopped before the first clock was read."""
    running: int = 0
    """Other workers that did not stop in time."""
    others_cpu_seconds: float = 0.0
    """Processor seconds that the others used in between; the clock's tick is 0.01 s."""
    elsewhere: int = 0
    """Workers on other GPUs, which went on."""


@dataclass
class Worker:
    """A process that runs a cell, and what is known of it."""

    key: str
    """The cell."""
    paths: CellPaths
    """Its folder."""
    process: Any
    """Of multiprocessing."""
    pipe: Connection
    """This end of the pipe to it."""
    card: Card
    """The GPU that it runs on, the first of several, or the processor."""
    outcome: tuple[str, str] | None = None
    """The end that it reported; passed on once the process has exited, so each cell ends once."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """When it was stopped for another's measuring, and when it went on."""
    stopped_at: float | None = None
    """Since when it is stopped; None while it runs."""
    follows: bool = False
    """Whether it ends with the run by now: `follow_parent` is what a worker does first."""
    shared: bool = False
    """Whether another cell was ever on its card at the same time."""
    watch: Watch = field(default_factory=lambda: Watch(0))
    oom_before: int = 0


def await_following(worker: Worker) -> None:
    """Wait until ``worker`` ends with the run: stopped before that, it would outlive it for good.

    It would hold the pipe that keeps the fork server alive, and the server would hold the worker.
    """
    if not worker.follows:
        with suppress(EOFError, OSError):  # it died: whoever listens next hears so
            worker.pipe.recv()  # the first thing that it says is that it follows
        worker.follows = True
