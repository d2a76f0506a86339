"""Cells in this very process, one after another: for a debugger, a notebook, a plug-in at work.

A breakpoint in a backend or a metric stops here, and what a notebook registered is there. A cell
that kills its process kills this one; memory that a cell leaves behind stays. Use `local` for runs
whose costs you compare.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.errors import HarnessError
from harness.plan.machine import Machine, Site, keep_gpus, machine
from harness.plugins import load_plugins
from harness.run.executors.base import Event, Job, ending
from harness.run.executors.child import NO_RESULT


class InProcessExecutor:
    """Runs every cell where it is called."""

    def machine(self) -> Machine:
        """This machine."""
        return machine()

    def site(self) -> Site:
        """This machine."""
        return Site((machine(),))

    def at_once(self) -> int:
        """One: a process has one place to stop in."""
        return 1

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs``; those of a cell come together, when it has ended."""
        _own_one_gpu()
        load_plugins()
        for job in jobs:
            yield from _events(job)


class _Listener:
    """The device of a cell that runs alone: keeps the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str) -> None:
        """Keep the stage."""
        self.stages.append(name)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing to do: no other cell runs."""
        yield

    def paused_seconds(self, since: float) -> float:
        """Never paused."""
        return 0.0

    def exclusivity(self) -> dict[str, float]:
        """No other cell is there to be stopped."""
        return {"stopped": 0}


def _events(job: Job) -> Iterator[Event]:
    from harness.run.worker import run_cell

    key, paths = job
    device = _Listener()
    end = Event(key, "done")
    try:
        run_cell(paths, device)
        if not paths.result.is_file():
            end = Event(key, "failed", NO_RESULT)
    except Exception as error:
        paths.log.write_text(traceback.format_exc(), encoding="utf-8")
        end = ending(key, error)
    yield from (Event(key, "stage", name) for name in device.stages)
    yield end


def _own_one_gpu() -> None:
    """Hide every CUDA device but the first from this process, as a worker does.

    Raises:
        HarnessError: CUDA is in use here already and sees several devices.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized() and torch.cuda.device_count() > 1:
        hint = "Start again with CUDA_VISIBLE_DEVICES=0, or use the executor `local`."
        raise HarnessError("in_process: this process uses several GPUs already", hint=hint)
    keep_gpus()
