"""The contract of executors: they name their machine and report exactly one end per job.

`tests/run/executors/test_contract.py` runs every registered executor against this promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from harness.errors import HarnessError, SkipCell
from harness.plan.machine import Machine
from harness.registry import Registry
from harness.results.paths import CellPaths

EventKind = Literal["stage", "done", "failed", "skipped"]
Job = tuple[str, CellPaths]
"""A cell's key and its folder, which holds ``cell.json``."""


class Event(NamedTuple):
    """News of a cell."""

    key: str
    kind: EventKind
    """`stage`: the cell is now in the stage ``text``. The other three end it."""
    text: str = ""
    """The stage, or the reason of a failure or a skip."""

    @property
    def is_end(self) -> bool:
        """Whether this is the last event of the cell."""
        return self.kind != "stage"


class Executor(Protocol):
    """Where cells run."""

    def machine(self) -> Machine:
        """The machine that cells run on; `plan` decides by it, not by the driver's own."""

    def at_once(self) -> int:
        """How many cells run side by side."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen.

        Every job ends in exactly one `done`, `failed` or `skipped`, its last event; `done` means
        that its ``result.json`` is written. Closing the iterator ends what is still running.
        """


Factory = Callable[[int | None], Executor]
"""Makes an executor that runs so many cells at a time; None leaves the number to it."""

EXECUTORS: Registry[Factory] = Registry("executor")
"""The names that `harness run --executor` takes. A plug-in adds its own."""


def executor_of(name: str, workers: int | None = None) -> Executor:
    """The executor called ``name``, for ``workers`` cells at a time.

    Raises:
        HarnessError: there is no such executor, or it cannot run so many cells at a time.
    """
    return EXECUTORS.get(name)(workers)


def ending(key: str, error: Exception) -> Event:
    """The end of the cell ``key`` that raised ``error``."""
    if isinstance(error, SkipCell):
        return Event(key, "skipped", str(error))
    # a HarnessError is written for the user; of any other the type is half of the message
    name = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
    return Event(key, "failed", f"{name}{error}".strip())


def _local(workers: int | None) -> Executor:
    from harness.run.executors.local import LocalExecutor

    return LocalExecutor(workers)


def _in_process(workers: int | None) -> Executor:
    from harness.run.executors.in_process import InProcessExecutor

    if workers not in (None, 1):
        hint = "Leave out `workers`, or use the executor `local`."
        raise HarnessError(f"in_process runs one cell at a time, not {workers}", hint=hint)
    return InProcessExecutor()


EXECUTORS.add("local", _local)
EXECUTORS.add("in_process", _in_process)
