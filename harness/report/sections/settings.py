"""Every setting that the cells ran with, as resolved, and for which cells it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter

from harness.analysis.leaderboard import Leaderboard
from harness.counting import counted
from harness.report.section import Section
from harness.results.result import CellResult
from harness.suite.schema import AXES

PARTS = (
    "model", "quantization_config", "adapter_config", "dataset", "training", "evaluation",
    "generation",
)  # fmt: skip
"""The parts of a resolved cell that hold settings; the others are its axes and folders."""
HIDDEN = {
    "model.name", "model.description", "model.source", "dataset.name", "model.training",
    "model.generation", "dataset.training", "dataset.generation", "dataset.evaluation",
    "model.endpoint.base_url", "model.endpoint.api_key_env",
}  # fmt: skip
"""Shown elsewhere, a path on the machine, an address inside your network, or already merged into
the cell's own settings."""


def settings(board: Leaderboard) -> Section:
    """A row per setting and value, with the cells that it applies to."""
    cells = [cell for cell in board.run.cells if cell.status == "ok" and _resolved(cell)]
    stored: dict[str, list[tuple[CellResult, str]]] = {}
    leaves: dict[str, tuple[tuple[str, str], ...]] = {}
    for cell in cells:
        for part, chosen in _resolved(cell).items():
            # thousands of cells have few different parts, and to write one out is cheap
            name = f"{part} {chosen!r}"
            if name not in leaves:
                leaves[name] = tuple(_flat(chosen, part))
            for key, value in leaves[name]:
                stored.setdefault(key, []).append((cell, value))
    held_by = _Counted(cells)
    rows = [row for key, held in stored.items() for row in _rows(key, held, held_by)]
    columns = ("setting", "value", "applies to")
    notes = ("Resolved from the suite, its presets and the model cards.",) if rows else ()
    return Section("Settings", notes, columns, tuple(rows), page_only=True)


def _resolved(cell: CellResult) -> dict[str, object]:
    whole = cell.provenance.cell
    return {part: whole[part] for part in PARTS if whole.get(part)}


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf with its dotted key; empty values are left out."""
    if path in HIDDEN or value in (None, [], {}):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Counted:
    """Cells, and how many of them have each value of each axis: counted once for all settings."""

    def __init__(self, cells: list[CellResult]) -> None:
        self.cells = cells
        self.counts = {axis: Counter(map(attrgetter(axis), cells)) for axis in AXES}

    @cached_property
    def tuned(self) -> _Counted:
        """Those that are not baselines."""
        return _Counted([cell for cell in self.cells if not cell.is_baseline])


def _rows(
    key: str, held: list[tuple[CellResult, str]], everyone: _Counted
) -> list[tuple[str, ...]]:
    values: dict[str, list[CellResult]] = {}
    for cell, value in held:
        values.setdefault(value, []).append(cell)
    if len(values) == 1 and len(held) == len(everyone.cells):
        return [(key, next(iter(values)), "every cell")]
    return [(key, value, _where(members, everyone)) for value, members in values.items()]


def _where(members: list[CellResult], everyone: _Counted) -> str:
    """The axis values that single out ``members``, or how many they are if no one axis does."""
    tuned = everyone.tuned
    has_baseline = any(cell.is_baseline for cell in members)
    if len(tuned.cells) == len(members) and not has_baseline:
        return "fine-tuned cells"
    for axis in AXES:
        values = dict.fromkeys(map(attrgetter(axis), members))
        # the members are some of the cells, so they are all that have these values if as many do
        if sum(everyone.counts[axis][value] for value in values) == len(members):
            return f"{axis}: {', '.join(map(str, values))}"
    if len(tuned.cells) < len(everyone.cells) and not has_baseline:
        return f"{_where(members, tuned)}, fine-tuned"
    return counted(len(members), "cell")
