"""The suite as it was resolved: every setting that the cells ran under, and where it differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.report.section import Section
from harness.results.result import CellResult
from harness.suite.schema import AXES

PARTS = (
    "model", "quantization_config", "adapter_config", "dataset", "training", "evaluation",
    "generation",
)  # fmt: skip
"""Parts of a resolved cell; the rest are its place on the axes and the suite's folder."""
HIDDEN = {
    "model.name", "model.description", "model.source", "dataset.name", "model.training",
    "model.generation", "dataset.training", "dataset.generation", "dataset.evaluation",
}  # fmt: skip
"""Said elsewhere, a folder of the machine, or already merged into the cell's own settings."""


def settings(board: Leaderboard) -> Section:
    """A row per setting and value, with the axis values that it holds for."""
    cells = [cell for cell in board.run.cells if cell.status == "ok" and _resolved(cell)]
    stored: dict[str, list[tuple[CellResult, str]]] = {}
    for cell in cells:
        for key, value in _flat(_resolved(cell)):
            stored.setdefault(key, []).append((cell, value))
    rows = [row for key, found in stored.items() for row in _rows(key, found, cells)]
    columns = ("setting", "value", "of")
    notes = ("As resolved from the suite, its presets and the model cards.",) if rows else ()
    return Section("Settings", notes, columns, tuple(rows), page_only=True)


def _resolved(cell: CellResult) -> dict[str, Any]:
    whole = cell.provenance.cell
    return {part: whole[part] for part in PARTS if whole.get(part)}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf with its dotted key; what is empty is left out."""
    if path in HIDDEN or value in (None, [], {}):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(
    key: str, found: list[tuple[CellResult, str]], cells: list[CellResult]
) -> list[tuple[str, ...]]:
    values: dict[str, list[CellResult]] = {}
    for cell, value in found:
        values.setdefault(value, []).append(cell)
    if len(values) == 1 and len(found) == len(cells):
        return [(key, next(iter(values)), "every cell")]
    return [(key, value, _where(members, cells)) for value, members in values.items()]


def _where(members: list[CellResult], cells: list[CellResult]) -> str:
    """The values of the one axis that tells ``members`` from the rest; else their number."""
    tuned = [cell for cell in cells if not cell.is_baseline]
    if len(tuned) == len(members) and not any(cell.is_baseline for cell in members):
        return "fine-tuned cells"
    chosen = {cell.key for cell in members}
    for axis in AXES:
        mine = dict.fromkeys(getattr(cell, axis) for cell in members)
        if {cell.key for cell in cells if getattr(cell, axis) in mine} == chosen:
            return f"{axis}: {', '.join(map(str, mine))}"
    if len(tuned) < len(cells) and not any(cell.is_baseline for cell in members):
        return f"{_where(members, tuned)}, fine-tuned"
    return f"{len(members)} cells"
