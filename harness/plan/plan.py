"""A suite resolved against this machine and a run directory."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness.errors import DamagedFile, HarnessError
from harness.plan.available import unavailable_reason
from harness.plan.backends import BACKENDS
from harness.plan.bad_data import refuse_bad_data
from harness.plan.cell import Cell
from harness.plan.check import checked_suite
from harness.plan.claims import arithmetic, meant, unknown_cells
from harness.plan.decision import Decision
from harness.plan.expand import expand
from harness.plan.machine import Site, machine
from harness.plan.measuring import settle_measuring
from harness.plan.preflight import Outdated, preflight, skip_reason
from harness.plan.select import matches, refuse_unmatched
from harness.plan.shard import Shard, in_shard
from harness.results.paths import RunPaths, write_json, write_text
from harness.results.reading import read_plan
from harness.results.records import Environment
from harness.suite.published import Claim
from harness.suite.schema import Suite
from harness.suite.shipped import find_suite
from harness.suite.tiny_twin import tiny_twin
from harness.user_path import typed


@dataclass(frozen=True)
class Plan:
    """A suite resolved against this machine and a run directory."""

    suite: Suite = field(repr=False)
    path: Path
    run: RunPaths
    decisions: tuple[Decision, ...] = field(repr=False)
    claims: tuple[dict[str, object], ...] = field(default=(), repr=False)
    """Published claims, with what arithmetic says of them."""
    executor: str = "local"
    """Where it will run; the decisions are for the machine of this executor."""
    devices: tuple[int, ...] | None = None
    """The GPUs that it may use, as `nvidia-smi` counts them; None: all."""
    address: str | None = None
    """The cluster that the executor uses, where it needs to be named."""

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
    where: Site | None = None,
    backend: str = "hf",
    shard: Shard | None = None,
    outdated: Outdated = lambda _: False,
) -> Plan:
    """What `harness run` would do with the suite in ``path``, or with its tiny twin.

    Args:
        path: The suite, or the name of a shipped one.
        output: The run directory; default ``runs/<suite>``.
        select: Which cells; see `matches`.
        tiny: Plan the suite's tiny twin.
        max_vram_gib: Skip cells that are expected to need more.
        where: Where cells will run; default: on this machine.
        backend: What loads, answers and measures; see `harness.plan.backends`.
        shard: The part of the cells that is run here; the others are left to other machines.
        outdated: Whether a finished cell is to be scored again.
    """
    BACKENDS.get(backend)  # refuses an unknown name before anything is read
    where = where or Site((machine(),))
    path = find_suite(path)
    suite = checked_suite(path)
    claims = planned_claims(suite, path, where)
    if tiny:
        suite = tiny_twin(suite, str(path))
    run = RunPaths(output or Path("runs") / suite.name)
    expanded = expand(suite, path, backend=backend)
    refuse_unmatched(expanded, select)
    settled = settle_measuring(
        expanded,
        wanted=lambda cell: matches(cell, select),
        # the machines of a suite's shards must choose the same cells, whatever they can run
        can_run=lambda cell: shard is not None or skip_reason(cell, where, max_vram_gib) is None,
    )
    if select and not settled:
        hint = f"`harness plan {typed(path)}` lists the cells."
        raise HarnessError(f'--select: no cell matches "{select}"', hint=hint)
    cells = [one.cell for one in settled]
    found = preflight(cells, where, run, max_vram_gib=max_vram_gib, outdated=outdated)
    decisions = [
        replace(decision, measured_in=one.elsewhere)
        for decision, one in zip(found, settled, strict=True)
    ]
    if shard is not None:
        mine = in_shard(cells, shard)
        decisions = [d if own else d.left() for d, own in zip(decisions, mine, strict=True)]
    refuse_bad_data([d.cell for d in decisions if d.action == "run"], path)
    return Plan(suite, path, run, tuple(decisions), claims)


def planned_claims(suite: Suite, path: Path, where: Site) -> tuple[dict[str, object], ...]:
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
    return tuple(_planned(claim, cells, where) for claim in suite.published)


def _planned(claim: Claim, cells: list[Cell], where: Site) -> dict[str, object]:
    cell = meant(claim, cells)
    assert cell is not None  # `unknown_cells` has looked for it
    return {
        "claim": claim.model_dump(mode="json"),
        "model": cell.model.name,
        "arithmetic": arithmetic(claim, cell),
        "skip": unavailable_reason(cell, where),
    }


def is_planned(plan: Plan) -> bool:
    """Whether the run directory's plan names these very cells."""
    try:
        written = read_plan(plan.run.directory, given=str(plan.run.directory))
    except (FileNotFoundError, DamagedFile):
        return False  # `write_plan` writes it anew, from the suite alone
    return written == _record_of(plan)


def _record_of(plan: Plan) -> dict[str, object]:
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


def write_plan(plan: Plan, surroundings: Environment) -> None:
    """Write what a report needs besides results: the cells in order, the suite, the machine."""
    write_json(plan.run.plan, _record_of(plan))
    write_json(plan.run.environment, asdict(surroundings))
    write_text(plan.run.suite, plan.path.read_text(encoding="utf-8"))
