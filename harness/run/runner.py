"""The story of a suite: decide, write the plan, run what is missing, record every outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace

from harness.errors import DamagedFile, HarnessError
from harness.plan.decision import Decision
from harness.plan.hub import switched_off_if_unreachable
from harness.plan.machine import environment
from harness.plan.plan import Plan, write_plan
from harness.results.companions import check_all
from harness.results.paths import CellPaths, write_json
from harness.results.reading import keep_aside
from harness.results.result import CellResult, load_result, save_result, whole_result
from harness.run.executors.base import Event, Executor, executor_of


def run_suite(
    plan: Plan,
    executor: Executor,
    tell: Callable[[Event], None],
    *,
    fail_fast: bool = False,
) -> dict[str, int]:
    """Run the plan's missing cells; one failed cell never stops the others (unless ``fail_fast``).

    Returns:
        Counts by outcome: `ok`, `failed`, `skipped`, `current`.
    """
    surroundings = environment(plan.path.resolve().parent, executor.machine())
    write_plan(plan, surroundings)
    jobs = {d.key: d for d in plan.of("run")}
    for decision in jobs.values():
        # what trackers call it: on another machine the folders have other names
        names = {"suite": plan.suite.name, "run": plan.run.directory.resolve().name}
        _prepare(plan.run.cell(decision.key), {**decision.job(surroundings), **names})
    counts = {
        "ok": 0,
        "failed": 0,
        "skipped": len(plan.of("skip")),
        "current": len(plan.of("current")),
    }
    waiting = dict(jobs)
    for part in _in_turn(jobs):
        for event in executor.run([(key, plan.run.cell(key)) for key in part]):
            if event.is_end:
                _record(plan, waiting.pop(event.key), event)
                counts["ok" if event.kind == "done" else event.kind] += 1
            tell(event)
            if fail_fast and counts["failed"]:
                return counts
    if waiting:  # an executor of a plug-in that breaks its promise; ours cannot
        hint = "This is a fault of the executor: try its contract test, tests/run/executors/."
        raise HarnessError(
            f"the executor reported no end of the cell {next(iter(waiting))}", hint=hint
        )
    return counts


def _in_turn(jobs: Mapping[str, Decision]) -> list[list[str]]:
    """The keys of ``jobs`` in two parts, the second of cells whose adapter one of the first trains.

    A worker cannot wait for another one: with fewer workers than cells both could stand still.
    """
    later = [key for key, decision in jobs.items() if decision.trained_in in jobs]
    first = [key for key in jobs if key not in later]
    return [part for part in (first, later) if part]


def run_here(
    plan: Plan,
    tell: Callable[[Event], None] = lambda _: None,
    *,
    workers: int | None = None,
    fail_fast: bool = False,
    cell_timeout: float | None = None,
    retry: int | None = None,
) -> dict[str, int]:
    """Run the plan by the executor that it was made for; see `run_suite`."""
    chosen = executor_of(
        plan.executor, workers, devices=plan.devices, address=plan.address,
        cell_timeout=cell_timeout, retry=retry,
    )  # fmt: skip
    # another machine, which a cluster's executor starts cells on, may well reach the hub
    uses_hub = plan.executor == "local" and any(
        not d.cell.model.is_local and d.cell.has_answers for d in plan.of("run")
    )
    with switched_off_if_unreachable() if uses_hub else nullcontext():
        return run_suite(plan, chosen, tell, fail_fast=fail_fast)


def still_missing(plan: Plan) -> Plan:
    """``plan`` without the cells that another run has done since it was made.

    Called under the lock of the run directory.
    """

    def now(decision: Decision) -> Decision:
        if decision.action != "run":
            return decision
        try:
            home = plan.run.cell(decision.key)
            done = whole_result(home, check_all, wanted=decision.fingerprint)
        except DamagedFile:  # it is set aside when its turn comes
            return decision
        if done and done.status == "ok" and done.fingerprint == decision.fingerprint:
            return replace(decision, action="current", reason=None, stages=())
        return decision

    return replace(plan, decisions=tuple(map(now, plan.decisions)))


def _prepare(paths: CellPaths, job: dict[str, object]) -> None:
    paths.directory.mkdir(parents=True, exist_ok=True)
    result = _whole_result(paths)
    if result is not None:
        _set_damaged_aside(paths, result)
    paths.smaller_batch.unlink(missing_ok=True)  # another machine, or day, may have the room
    paths.result.unlink(missing_ok=True)  # what failed or was of other settings is done again
    write_json(paths.cell, job, durable=False)  # lost, it is written again


def _set_damaged_aside(paths: CellPaths, result: CellResult) -> None:
    """Rename the tables beside ``result`` that are not the ones it was computed from."""
    for name, expected in result.companions.items():
        path = paths.directory / name
        if path.is_file():
            try:
                check_all(paths, {name: expected})
            except DamagedFile:
                keep_aside(path)


def _whole_result(paths: CellPaths) -> CellResult | None:
    """The result of an earlier attempt; a damaged one is renamed, never deleted."""
    try:
        return load_result(paths.result)
    except DamagedFile:
        keep_aside(paths.result)
        return None


def _record(plan: Plan, decision: Decision, event: Event) -> None:
    """Keep the outcome of a cell that did not end well, and its one-line reason."""
    if event.kind == "done":
        return
    paths = plan.run.cell(decision.key)
    if _whole_result(paths) is not None:
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
