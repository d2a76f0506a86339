"""A worker process of this machine, as the executor that started it sees it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from harness.errors import HarnessError
from harness.results.paths import CellPaths, read_json
from harness.run.executors.cards import Card
from harness.run.executors.limits import Watch
from harness.run.executors.oom import OomKills
from harness.suite.endpoint import longest_question

STARTS = 3
"""Starts in a row that may fail: between them is the time of a look at the workers."""


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
    given_up: str | None = None
    """Why it was ended from here. What it had reported before counts all the same."""
    had_result: bool = False
    """Whether there was a result before it began."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """When it was stopped for another's measuring, and when it went on."""
    stopped_at: float | None = None
    """Since when it is stopped; None while it runs."""
    follows: bool = False
    """Whether it ends with the run by now: `follow_parent` is what a worker does first."""
    shared: bool = False
    """Whether another cell was ever on its card at the same time."""
    watch: Watch = field(default_factory=lambda: Watch(0))
    oom_before: OomKills = field(default_factory=OomKills)

    @property
    def end(self) -> tuple[str, str] | None:
        """How its cell ended; None if it died without a word and without a result."""
        if self.outcome is not None:
            return self.outcome
        if not self.had_result and self.paths.result.is_file():
            return ("done", "")  # written last and whole: it died before it could say so
        return None if self.given_up is None else ("failed", self.given_up)


def longest_wait(paths: CellPaths) -> float:
    """Seconds that the server of the cell in ``paths`` may keep it waiting; 0 without a server.

    A worker that waits for an answer uses no processor: by the default settings, up to 18 minutes
    may pass until it says itself that the server does not answer.
    """
    try:
        endpoint = read_json(paths.cell)["cell"]["model"].get("endpoint")
        return longest_question(endpoint) if endpoint else 0.0
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return 0.0  # the worker reads it again, and says what is wrong


def living(workers: Iterable[Worker]) -> list[int]:
    """The process numbers of those of ``workers`` that have not ended.

    The fork server takes note of an end at once, and the number is free from then on. This process
    may learn of it hours later (after Ctrl-Z, say), when it is that of somebody else's process.
    """
    return [worker.process.pid for worker in workers if worker.process.exitcode is None]


def not_started(times: int, error: Exception) -> int:
    """Take note that the fork server ended while a worker started; the next start tries anew.

    The kernel may have ended the server for want of memory, or it may have been refused a process.

    Args:
        times: How often in a row it has happened now, with no other worker there.
        error: What the start of a process raised.

    Raises:
        HarnessError: it has happened `STARTS` times.
    """
    if times < STARTS:
        return times
    what = f"no worker can be started: {type(error).__name__} {error}".strip()
    hint = "Too little memory, or too many processes (`ulimit -u`)? Give fewer --workers."
    raise HarnessError(what, hint=hint) from None


def await_following(worker: Worker) -> None:
    """Wait until ``worker`` ends with the run: stopped before that, it would outlive it for good.

    It would hold the pipe that keeps the fork server alive, and the server would hold the worker.
    """
    if not worker.follows:
        with suppress(EOFError, OSError):  # it died: whoever listens next hears so
            worker.pipe.recv()  # the first thing that it says is that it follows
        worker.follows = True
