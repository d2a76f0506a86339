"""Every setting that the cells ran with, as resolved, and for which cells it holds."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.leaderboard import Leaderboard
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
    for cell in cells:
        for key, value in _flat(_resolved(cell)):
            stored.setdefault(key, []).append((cell, value))
    rows = [row for key, held in stored.items() for row in _rows(key, held, cells)]
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


def _rows(
    key: str, held: list[tuple[CellResult, str]], cells: list[CellResult]
) -> list[tuple[str, ...]]:
    values: dict[str, list[CellResult]] = {}
    for cell, value in held:
        values.setdefault(value, []).append(cell)
    if len(values) == 1 and len(held) == len(cells):
        return [(key, next(iter(values)), "every cell")]
    return [(key, value, _where(members, cells)) for value, members in values.items()]


def _where(members: list[CellResult], cells: list[CellResult]) -> str:
    """The axis values that single out ``members``, or how many they are if no one axis does."""
    tuned = [cell for cell in cells if not cell.is_baseline]
    if len(tuned) == len(members) and not any(cell.is_baseline for cell in members):
        return "fine-tuned cells"
    chosen = {cell.key for cell in members}
    for axis in AXES:
        values = dict.fromkeys(getattr(cell, axis) for cell in members)
        if {cell.key for cell in cells if getattr(cell, axis) in values} == chosen:
            return f"{axis}: {', '.join(map(str, values))}"
    if len(tuned) < len(cells) and not any(cell.is_baseline for cell in members):
        return f"{_where(members, tuned)}, fine-tuned"
    return f"{len(members)} cells"
