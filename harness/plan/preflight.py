"""Before anything heavy: which cells run, which are current, which cannot run here and why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.datasets.splits import Prepared, prepare
from harness.errors import DamagedFile, HarnessError, SkipCell
from harness.plan.available import unavailable_reason
from harness.plan.cell import Cell, cell_key, fingerprint
from harness.plan.changes import Changes
from harness.plan.content import content_of
from harness.plan.decision import Decision
from harness.plan.machine import Site
from harness.plan.memory import Estimate, estimate
from harness.plan.stages import (
    Surroundings,
    hardware_of,
    stage_keys,
    stages_of,
)
from harness.results.companions import check_all
from harness.results.paths import CellPaths, RunPaths
from harness.results.reading import ASIDE
from harness.results.result import CellResult, whole_result
from harness.results.stages import load_stage, stage_index

Outdated = Callable[[CellResult], bool]
"""Whether a finished cell's metrics are computed in another way now; scoring lies above plans."""


def preflight(
    cells: list[Cell],
    where: Site,
    run: RunPaths,
    *,
    max_vram_gib: float | None = None,
    outdated: Outdated = lambda _: False,
) -> list[Decision]:
    """One decision per cell, in matrix order; cells above ``max_vram_gib`` are skipped."""
    # on several kinds of machine nobody knows yet which one a cell gets: there the worker looks
    # again whether what an earlier cell did can be used
    earlier = _Earlier(run, hardware_of(where.machines[0]), outdated)
    alike = _Alike(where, max_vram_gib)
    decisions = [_decide(cell, alike, earlier) for cell in cells]
    card = min((one.gpu_memory_gib for one in where.machines if one.gpu), default=0.0)
    given = [replace(d, max_vram_gib=max_vram_gib, card_gib=card) for d in decisions]
    return _with_trainers(given)


def _with_trainers(decisions: list[Decision]) -> list[Decision]:
    """``decisions`` in which a test on a task names the cell that trains its adapter, if any."""
    keys = {tuple(d.cell.axes.values()): d.key for d in decisions if d.action in ("run", "current")}

    def trainer(cell: Cell) -> str | None:
        if cell.trained_on is None:
            return None
        return keys.get(tuple({**cell.axes, "dataset": cell.trained_on.name}.values()))

    return [replace(d, trained_in=trainer(d.cell)) if d.cell.trained_on else d for d in decisions]


class _Alike:
    """What cells that differ in their seed alone have in common, found out once for all of them."""

    def __init__(self, where: Site, max_vram_gib: float | None) -> None:
        self._where = where
        self._limit = max_vram_gib
        self._content: dict[tuple[str, ...], dict[str, str]] = {}
        self._memory: dict[tuple[str, ...], Estimate | None] = {}
        self._reasons: dict[tuple[str, ...], str | None] = {}

    def content(self, cell: Cell, key: tuple[str, ...]) -> dict[str, str]:
        """The hashes of what ``cell`` reads, as they are while this plan is made."""
        if key not in self._content:
            self._content[key] = content_of(cell)
        return self._content[key]

    def memory(self, cell: Cell, key: tuple[str, ...]) -> Estimate | None:
        """What ``cell`` is expected to need."""
        if key not in self._memory:
            self._memory[key] = estimate(cell)
        return self._memory[key]

    def reason(self, cell: Cell, key: tuple[str, ...]) -> str | None:
        """Why ``cell`` is skipped."""
        if key not in self._reasons:
            self._reasons[key] = skip_reason(cell, self._where, self._limit)
        return self._reasons[key]


def _seedless(cell: Cell) -> tuple[str, ...]:
    """Everything of ``cell`` but its seed; `include` may change settings of a single cell."""
    axes = [str(name) for axis, name in cell.axes.items() if axis != "seed"]
    settings = json.dumps([cell.training, cell.generation], sort_keys=True, default=str)
    return (*axes, settings, cell.evaluation.model_dump_json(), str(cell.is_measured))


class _Earlier:
    """What earlier invocations left in a run directory; looked at when a cell is not current."""

    def __init__(self, run: RunPaths, hardware: str, outdated: Outdated) -> None:
        self.run = run
        self.outdated = outdated
        self.hardware = hardware
        self.changes = Changes(run)
        self._splits: dict[str, Prepared | None] = {}

    @cached_property
    def _index(self) -> dict[tuple[str, str], str]:
        return stage_index(self.run.cells)

    def stages(self, cell: Cell, content: Mapping[str, str]) -> dict[str, str]:
        """Stage of ``cell`` → the folder of a cell that has done it."""
        if not self._index:
            return {}  # a first run reads no rows before its workers do
        rows = self._rows(cell)
        if rows is None:
            return {}
        keys = stage_keys(cell, Surroundings(content, self.hardware), rows.train, rows.test)
        found: dict[str, str] = {}
        for stage in stages_of(cell):
            folder = None if stage == "score" else self._index.get((stage, keys.of(stage)))
            home = None if folder is None else CellPaths(self.run.cells / folder)
            if folder and home and load_stage(home, stage, keys.of(stage)):
                found[stage] = folder
            elif stage == "train":
                return {}  # answers of an adapter that is gone are not those of the next one
        return found

    def _rows(self, cell: Cell) -> Prepared | None:
        """The rows of the cell's data set; None where they cannot be read: the worker says why."""
        name = cell.dataset.model_dump_json()
        name += cell.trained_on.model_dump_json() if cell.trained_on else ""
        if name not in self._splits:
            try:
                folder = Path(cell.base_folder)
                self._splits[name] = prepare(cell.dataset, folder, trained_on=cell.trained_on)
            except (HarnessError, SkipCell):
                self._splits[name] = None
        return self._splits[name]


def _decide(cell: Cell, alike: _Alike, earlier: _Earlier) -> Decision:
    same = _seedless(cell)
    content = alike.content(cell, same)
    cell_fingerprint = fingerprint(cell, content=content)
    key = cell_key(cell.axes, cell_fingerprint)
    shared: dict[str, Any] = {
        "content": content,
        "memory": alike.memory(cell, same),
    }
    stored, again = _stored(earlier.run.cell(key))
    is_done = stored and stored.status == "ok" and stored.fingerprint == cell_fingerprint
    if stored and is_done and again is None:
        if earlier.outdated(stored):
            shared |= {"reason": "its metrics are newer", "stages": ("score",)}
        return Decision(cell, key, cell_fingerprint, "current", **shared)
    # a current cell stays current even on a machine that could not run it: its result is there
    if reason := alike.reason(cell, same):
        return Decision(cell, key, cell_fingerprint, "skip", reason, **shared)
    reuse = earlier.stages(cell, content)
    if again and reuse.get("predict") == key:
        del reuse["predict"]  # the answers beside a damaged result or table are not trusted
    todo = tuple(stage for stage in stages_of(cell) if stage not in reuse)
    again = again or earlier.changes.of(cell, key, content)
    return Decision(
        cell, key, cell_fingerprint, "run", again, **shared,
        stages=todo, reuse=reuse, hardware=earlier.hardware,
    )  # fmt: skip


def _stored(paths: CellPaths) -> tuple[CellResult | None, str | None]:
    """The result in ``paths``, and where it or a file beside it is damaged, what becomes of it."""
    try:
        return whole_result(paths, check_all), None
    except DamagedFile as error:
        place = (error.where or "").removeprefix(str(paths.directory) + os.sep)
        name = place.partition(":")[0]
        kept = f", kept as {name}{ASIDE}" if (paths.directory / name).is_file() else ""
        return None, f"{place} {error.what.partition(';')[0]}: done again{kept}"


def skip_reason(cell: Cell, where: Site, max_vram_gib: float | None) -> str | None:
    """Why ``cell`` is skipped at ``where`` below ``max_vram_gib``; None if it is not."""
    return _too_large(estimate(cell), max_vram_gib) or unavailable_reason(cell, where)


def _too_large(memory: Estimate | None, limit_gib: float | None) -> str | None:
    if memory is None or limit_gib is None or memory.needed_gib <= limit_gib:
        return None
    return f"needs about {memory.needed_gib:.1f} GiB, more than --max-vram {limit_gib:g} GiB"
