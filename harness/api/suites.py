"""Suites: read, check and plan them, and estimate what a run of them takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.arguments import StrPath
from harness.errors import SuiteError
from harness.plan.backends import need_backend
from harness.plan.check import Depth, check_suite, checked_suite
from harness.plan.plan import Plan, make_plan
from harness.plan.shard import shard_of
from harness.plugins import load_plugins
from harness.run.executors.base import HERE, Event, executor_of
from harness.run.executors.main_module import end_if_run_again
from harness.scoring.extra import check_extra_metrics
from harness.scoring.rescoring import is_outdated
from harness.suite.schema import Suite
from harness.suite.shipped import find_suite

if TYPE_CHECKING:
    from harness.run.calibrate import Expected


def ignore(_: Event) -> None:
    """Show nothing."""


def load_suite(path: StrPath) -> Suite:
    """The suite in ``path``, or the shipped one of that name.

    Raises:
        SuiteError: every problem of the file, each as ``file:line: key: message``.
    """
    load_plugins()
    return checked_suite(find_suite(Path(path)))


@dataclass(frozen=True)
class ValidSuite:
    """A suite without problems."""

    path: Path
    cells: int
    """Cells of its matrix."""
    notes: tuple[str, ...]
    """Notes: data that was not read, and how files were read if the suite left it open."""


def validate(path: StrPath, *, data: bool = True) -> ValidSuite:
    """Check the suite in ``path`` without running anything.

    Args:
        path: The suite, or the name of a shipped one.
        data: Read the rows of its data sets and load its extra metrics, too.

    Raises:
        SuiteError: every problem of the file, each with its line.
    """
    load_plugins()
    place = find_suite(Path(path))
    depth = Depth(hub=True, metrics=check_extra_metrics) if data else Depth(data=False)
    found = check_suite(place, depth)
    if found.problems:
        raise SuiteError(found.problems)
    return ValidSuite(place, found.cells, tuple(found.notes))


def schema() -> dict[str, object]:
    """The JSON Schema of a suite, for editors."""
    from harness.suite.json_schema import suite_schema

    return suite_schema()


def plan(
    suite: StrPath,
    *,
    output: StrPath | None = None,
    select: str | None = None,
    tiny: bool = False,
    max_vram_gib: float | None = None,
    executor: str = "local",
    devices: Sequence[int] | None = None,
    address: str | None = None,
    backend: str = "hf",
    shard: str | None = None,
) -> Plan:
    """Decide what `run` would do: which cells run, which are current, which cannot run and why.

    Args:
        suite: A suite's path, or the name of a shipped one.
        output: The run directory; default ``runs/<suite>``.
        select: Which cells: ``model=tiny-*,adapter=base|lora-r8``.
        tiny: Plan the suite's tiny twin, which runs on a CPU in minutes.
        max_vram_gib: Skip cells that are expected to need more.
        executor: Where cells will run; its machine decides what can run.
        devices: Numbers of the GPUs to use, as `nvidia-smi` counts them; default: all.
        address: The cluster to run on, for an executor that runs on one.
        backend: What trains, answers and measures: `hf`, or a plug-in's.
        shard: The part of the cells to run here, ``3/8``; `merge` joins the parts' runs.

    Raises:
        HarnessError: the suite, ``select`` or ``executor`` is wrong.
    """
    load_plugins()
    numbers = None if devices is None else tuple(devices)
    where = executor_of(executor, devices=numbers, address=address)
    found = make_plan(
        Path(suite), Path(output) if output else None, select=select, tiny=tiny,
        max_vram_gib=max_vram_gib, where=where.site(), backend=backend,
        shard=shard_of(shard) if shard else None, outdated=is_outdated,
    )  # fmt: skip
    return replace(found, executor=executor, devices=numbers, address=address)


def calibrate(plan: Plan, *, on_event: Callable[[Event], None] = ignore) -> Expected:
    """Estimate how long ``plan`` takes, from some of its cells cut short."""
    end_if_run_again()
    from harness.run import calibrate as calibrating

    load_plugins()
    need_packages(plan, "`harness plan --calibrate`")
    return calibrating.calibrate(plan, on_event)


def cells_to_calibrate(plan: Plan) -> int:
    """How many cells `calibrate` runs cut short."""
    from harness.run.calibrate import shortened

    return shortened(plan)


def need_packages(plan: Plan, what: str) -> None:
    """Refuse ``what`` before anything is written, where this installation cannot run a cell.

    A cluster's machines have an installation of their own; theirs says it for itself.
    """
    if plan.executor in HERE:
        for name in dict.fromkeys(decision.cell.backend for decision in plan.of("run")):
            need_backend(name, what)
