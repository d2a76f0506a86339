"""The contract of executors: they name their machine and report exactly one end per job.

`tests/run/executors/test_contract.py` runs every registered executor against this promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from harness.errors import HarnessError, SkipCell
from harness.plan.machine import Machine, Site
from harness.registry import Registry
from harness.results.paths import CellPaths
from harness.secret_texts import without_secrets

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
        """The machine that cells run on, or the largest of several."""

    def site(self) -> Site:
        """Every kind of machine that cells may run on; `plan` skips what fits on none."""

    def at_once(self) -> int:
        """How many cells run side by side."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen.

        Every job ends in exactly one `done`, `failed` or `skipped`, its last event; `done` means
        that its ``result.json`` is written. Closing the iterator ends what is still running.
        """


@dataclass(frozen=True)
class Wanted:
    """What a user asks of an executor; None leaves it to the executor."""

    workers: int | None = None
    """Cells at a time."""
    devices: tuple[int, ...] | None = None
    """Numbers of the GPUs to use, as `nvidia-smi` counts them."""
    address: str | None = None
    """The cluster to run on."""
    cell_timeout: float | None = None
    """Seconds that a cell may take; None: as long as it takes."""
    retry: int | None = None
    """How often a cell that was lost is tried again; None: never."""

    def refuse(self, name: str, *keys: str) -> None:
        """Refuse those of ``keys`` that were asked for: the executor ``name`` has no use for them.

        Raises:
            HarnessError: one was.
        """
        for key in keys:
            if getattr(self, key) is not None:
                hint = f"Leave it out, or choose an executor that takes it: not {name}."
                option = key.replace("_", "-")
                raise HarnessError(f"--{option} has no effect on the executor {name}", hint=hint)


Factory = Callable[[Wanted], Executor]
"""Makes an executor from what the user asks for."""

HERE = ("local", "in_process")
"""Executors whose cells run in this installation."""

EXECUTORS: Registry[Factory] = Registry("executor")
"""The names that `harness run --executor` takes. A plug-in adds its own."""


def executor_of(
    name: str,
    workers: int | None = None,
    *,
    devices: tuple[int, ...] | None = None,
    address: str | None = None,
    cell_timeout: float | None = None,
    retry: int | None = None,
) -> Executor:
    """The executor called ``name``, for ``workers`` cells at a time.

    Args:
        name: A name of the registry.
        workers: Cells at a time; None leaves it to the executor.
        devices: Numbers of the GPUs to use, as `nvidia-smi` counts them.
        address: The cluster to run on.
        cell_timeout: Seconds that a cell may take.
        retry: How often a cell that was lost is tried again.

    Raises:
        HarnessError: there is no such executor, or it cannot do what is asked.
    """
    return EXECUTORS.get(name)(Wanted(workers, devices, address, cell_timeout, retry))


def ending(key: str, error: Exception) -> Event:
    """The end of the cell ``key`` that raised ``error``."""
    if isinstance(error, SkipCell):
        return Event(key, "skipped", str(error))
    # a HarnessError is written for the user; of any other the type is half of the message
    name = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
    return Event(key, "failed", without_secrets(f"{name}{error}".strip()))


def _local(wanted: Wanted) -> Executor:
    from harness.run.executors.limits import Limits
    from harness.run.executors.local import LocalExecutor

    wanted.refuse("local", "address")
    limits = Limits(wanted.cell_timeout, wanted.retry or 0)
    return LocalExecutor(wanted.workers, devices=wanted.devices, limits=limits)


def _in_process(wanted: Wanted) -> Executor:
    from harness.run.executors.in_process import InProcessExecutor

    if wanted.workers not in (None, 1):
        hint = "Leave out `workers`, or use the executor `local`."
        raise HarnessError(f"in_process runs one cell at a time, not {wanted.workers}", hint=hint)
    # nobody is there to end a cell of this very process
    wanted.refuse("in_process", "devices", "address", "cell_timeout", "retry")
    return InProcessExecutor()


def _ray(wanted: Wanted) -> Executor:
    from harness.run.executors.ray_executor import RayExecutor

    wanted.refuse("ray", "devices")
    return RayExecutor(wanted)


def _slurm(wanted: Wanted) -> Executor:
    from harness.run.executors.slurm_executor import SlurmExecutor

    wanted.refuse("slurm", "devices")
    return SlurmExecutor(wanted)


EXECUTORS.add("local", _local)
EXECUTORS.add("in_process", _in_process)
EXECUTORS.add("ray", _ray)
EXECUTORS.add("slurm", _slurm)
