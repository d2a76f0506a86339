"""One cell on a machine that a cluster chose for it: in a fresh process, as `local` runs it there.

Ray and Slurm give the cell its card, or its processors; nobody else's cells are stopped for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from harness.errors import HarnessError, SkipCell
from harness.plan.available import fetching_reason
from harness.plan.cell import Cell, cell_of_record
from harness.plan.machine import environment, machine
from harness.plan.stages import hardware_of
from harness.results.paths import CellPaths, read_json
from harness.run.executors.base import Event
from harness.run.executors.limits import Limits
from harness.run.executors.local import LocalExecutor

QUICK = 1.0
"""Seconds in which a cell says nothing of its stages: one that is over by then needs no progress,
and ten thousand such would keep the driver busy with it."""


@dataclass(frozen=True)
class Allowed:
    """What a cell may use and take on its node."""

    threads: int = 1
    """Threads of its process."""
    beside: int = 1
    """Cells that may share its card."""
    limits: Limits = field(default_factory=Limits)


def surroundings(job: dict[str, object], devices: list[str]) -> dict[str, object]:
    """Keys of ``cell.json`` that the machine that runs a cell knows better than its driver.

    Args:
        job: The driver's ``cell.json``.
        devices: The cards that the cluster gave the cell, as `CUDA_VISIBLE_DEVICES` takes them.
    """
    # without this a cell that asked for no card would see them all
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    machine.cache_clear()
    here = machine()
    given = job["environment"]
    assert isinstance(given, dict)
    # the revision is of the suite, which is the driver's
    found = {**_software(), "machine": asdict(here), "git": given["git"]}
    return {"environment": found, "hardware": hardware_of(here)}


@cache
def _software() -> dict[str, object]:
    return asdict(environment(Path.cwd(), machine()))


def host(key: str, paths: CellPaths, tell: Callable[[str], None], allowed: Allowed) -> list[Event]:
    """Run the cell ``key`` in ``paths``; its events, the end last.

    Args:
        key: The cell.
        paths: Its folder, on this machine.
        tell: Is called with each stage while it runs.
        allowed: What the cell may use and take.
    """
    cell = cell_of_record(read_json(paths.cell)["cell"])
    reason = unavailable_here(cell)
    if reason:
        return [Event(key, "skipped", reason)]
    began, events, told = time.monotonic(), list[Event](), 0
    for event in LocalExecutor(1, allowed.threads, limits=allowed.limits).run([(key, paths)]):
        events.append(event)
        if time.monotonic() - began > QUICK and not event.is_end:
            # all until now, so that what was told is always the beginning of what there is
            for earlier in events[told:]:
                tell(earlier.text)
            told = len(events)
    return events


def unavailable_here(cell: Cell) -> str | None:
    """Why this machine cannot run ``cell``; the driver could not look for its models and data.

    That it is large enough was the cluster's choice, by what the driver asked for.
    """
    try:
        return fetching_reason(cell)
    except (HarnessError, SkipCell) as error:
        return str(error)
