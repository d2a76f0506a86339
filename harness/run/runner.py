"""The story of a suite: decide, write the plan, run what is missing, record every outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from harness.plan.machine import Machine, environment, machine
from harness.plan.plan import Plan, write_plan
from harness.plan.preflight import Decision
from harness.results.paths import CellPaths, write_json
from harness.results.result import CellResult, load_result, save_result
from harness.run.executors.base import Event
from harness.run.executors.local import LocalExecutor


class Executor(Protocol):
    """Where cells run."""

    def run(self, jobs: list[tuple[str, CellPaths]]) -> Iterable[Event]:
        """The events of ``jobs``; every job ends in `done`, `failed` or `skipped`."""


def run_suite(
    plan: Plan,
    executor: Executor,
    tell: Callable[[Event], None],
    *,
    fail_fast: bool = False,
    backend: str = "hf",
) -> dict[str, int]:
    """Run the plan's missing cells; one failed cell never stops the others (unless ``fail_fast``).

    Returns:
        Counts by outcome: `ok`, `failed`, `skipped`, `current`.
    """
    surroundings = environment(plan.path.resolve().parent)
    write_plan(plan, surroundings)
    jobs = {d.key: d for d in plan.of("run")}
    for decision in jobs.values():
        _prepare(plan.run.cell(decision.key), decision.job(surroundings, backend))
    counts = {
        "ok": 0,
        "failed": 0,
        "skipped": len(plan.of("skip")),
        "current": len(plan.of("current")),
    }
    told: dict[str, Event] = {}
    for event in executor.run([(key, plan.run.cell(key)) for key in jobs]):
        if event.kind in ("failed", "skipped") and event.key not in told:
            told[event.key] = event
            _record(plan, jobs[event.key], event)
            counts[event.kind] += 1
            tell(event)
        elif event.kind == "done":
            counts["ok"] += 1
            tell(event)
        elif event.kind == "stage":
            tell(event)
        if fail_fast and counts["failed"]:
            break
    return counts


def run_here(
    plan: Plan,
    tell: Callable[[Event], None] = lambda _: None,
    *,
    workers: int | None = None,
    fail_fast: bool = False,
    backend: str = "hf",
) -> dict[str, int]:
    """Run the plan in processes of this machine: one at a time on a GPU, else one for each core."""
    here, todo = machine(), len(plan.of("run"))
    at_once = workers or cells_at_once(here)
    executor = LocalExecutor(min(at_once, max(todo, 1)), max(1, here.cores // at_once))
    return run_suite(plan, executor, tell, fail_fast=fail_fast, backend=backend)


def cells_at_once(here: Machine) -> int:
    """How many cells run side by side on ``here`` by default."""
    return 1 if here.gpu else here.cores


def _prepare(paths: CellPaths, job: dict[str, Any]) -> None:
    paths.directory.mkdir(parents=True, exist_ok=True)
    paths.result.unlink(missing_ok=True)
    write_json(paths.cell, job)


def _record(plan: Plan, decision: Decision, event: Event) -> None:
    """Keep the outcome of a cell that did not end well, and its one-line reason."""
    paths = plan.run.cell(decision.key)
    if load_result(paths.result) is not None:
        return
    reason = event.text.splitlines()[0] if event.text else "no reason was given"
    result = CellResult(
        **decision.cell.axes,
        key=decision.key,
        status="skipped" if event.kind == "skipped" else "failed",
        fingerprint=decision.fingerprint,
        task=decision.cell.task.task,
        primary_metric=decision.cell.task.primary_metric,
        reason=reason,
    )
    save_result(paths, result)
