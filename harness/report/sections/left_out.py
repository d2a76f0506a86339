"""The cells without numbers: skipped, failed and missing ones, with the reason."""

from __future__ import annotations

from harness.analysis.leaderboard import Leaderboard
from harness.report.section import MISSING, Keeping, Section
from harness.results.result import CellResult

AXES = ("quantization", "adapter", "dataset")


def left_out(board: Leaderboard) -> Section:
    """A row per model and reason, with the cells concerned."""
    groups: dict[tuple[str, str, str], list[CellResult]] = {}
    for cell in board.run.cells:
        if cell.status != "ok":
            key = (cell.model, cell.status, cell.reason or MISSING)
            groups.setdefault(key, []).append(cell)
    rows = tuple(
        (model, *(_levels(cells, axis) for axis in AXES), str(len(cells)), status, reason)
        for (model, status, reason), cells in groups.items()
    )
    columns = ("model", "quantization", "adapter", "data set", "cells", "status", "reason")
    rest = Keeping(rest="`harness show RUN CELL` prints why a cell did not run.")
    return Section("Not run", (), columns, rows, keeping=rest)


def _levels(cells: list[CellResult], axis: str) -> str:
    return ", ".join(dict.fromkeys(str(getattr(cell, axis)) for cell in cells))
