"""The story of a suite: decide, write the plan, run what is missing, record every outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.cell import Cell, expand
from harness.claims import arithmetic, meant, unknown_cells
from harness.datasets.sources import source_of
from harness.environment import Machine, environment, machine
from harness.errors import HarnessError
from harness.executors.local import Event, LocalExecutor
from harness.paths import CellPaths, RunPaths, read_json, write_json, write_text
from harness.preflight import Decision, preflight, why_not_here
from harness.published import Claim
from harness.results import CellResult, load_result, save_result
from harness.select import matches
from harness.shipped import find_suite
from harness.suite import Suite
from harness.suite_file import load_suite
from harness.tiny import tiny_twin


class Executor(Protocol):
    """Where cells run."""

    def run(self, jobs: list[tuple[str, CellPaths]]) -> Iterable[Event]:
        """The events of ``jobs``; every job ends in `done`, `failed` or `skipped`."""


@dataclass(frozen=True)
class Plan:
    """A suite resolved against this machine and a run directory."""

    suite: Suite
    path: Path
    run: RunPaths
    decisions: tuple[Decision, ...]
    claims: tuple[dict[str, Any], ...] = ()
    """Published claims, with what arithmetic says of them."""

    def of(self, action: str) -> list[Decision]:
        """The decisions whose action is ``action``."""
        return [d for d in self.decisions if d.action == action]


def make_plan(
    path: Path,
    output: Path | None,
    *,
    select: str | None = None,
    tiny: bool = False,
    max_vram_gib: float | None = None,
) -> Plan:
    """What `harness run` would do with the suite in ``path``, or with its tiny twin."""
    path = find_suite(path)
    suite = load_suite(path)
    claims = planned_claims(suite, path)
    if tiny:
        suite = tiny_twin(suite, str(path))
    run = RunPaths(output or Path("runs") / suite.name)
    cells = [cell for cell in expand(suite, path) if matches(cell, select)]
    decisions = preflight(cells, machine(), run, max_vram_gib=max_vram_gib)
    return Plan(suite, path, run, tuple(decisions), claims)


def planned_claims(suite: Suite, path: Path) -> tuple[dict[str, Any], ...]:
    """The suite's published claims with what arithmetic says of them, and why a cell cannot run.

    Raises:
        HarnessError: a claim names a cell that the suite does not have.
    """
    if not suite.published:
        return ()
    cells = expand(suite, path)
    problems = unknown_cells(suite.published, cells)
    if problems:
        raise HarnessError("\n".join(problems), where=str(path))
    return tuple(_planned(claim, cells) for claim in suite.published)


def _planned(claim: Claim, cells: list[Cell]) -> dict[str, Any]:
    cell = meant(claim, cells)
    assert cell is not None  # `unknown_cells` has looked for it
    source = source_of(cell.dataset, Path(cell.base_folder))
    return {
        "claim": claim.model_dump(mode="json"),
        "model": cell.model.name,
        "arithmetic": arithmetic(claim, cell),
        "skip": why_not_here(cell, machine(), needs_hub=source.needs_network),
    }


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


def is_planned(plan: Plan) -> bool:
    """Whether the run directory's plan names these very cells."""
    return plan.run.plan.is_file() and read_json(plan.run.plan) == _record_of(plan)


def _record_of(plan: Plan) -> dict[str, Any]:
    suite = {
        "name": plan.suite.name,
        "description": plan.suite.description,
        "path": plan.path.as_posix(),
        "source": plan.suite.source.model_dump(mode="json") if plan.suite.source else None,
        "claims": list(plan.claims),
        "gate": plan.suite.gate.model_dump(mode="json"),
        "objectives": plan.suite.objectives.model_dump(mode="json"),
    }
    cells = [decision.plan_entry() for decision in plan.decisions]
    return {"schema": 1, "suite": suite, "cells": cells}


def write_plan(plan: Plan, surroundings: dict[str, Any]) -> None:
    """Write what a report needs besides results: the cells in order, the suite, the machine."""
    write_json(plan.run.plan, _record_of(plan))
    write_json(plan.run.environment, surroundings)
    write_text(plan.run.suite, plan.path.read_text(encoding="utf-8"))


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
        task=decision.task,
        primary_metric=decision.primary_metric,
        reason=reason,
    )
    save_result(paths, result)
