"""The cells of a run that can be asked, their names, and the two that a page begins with."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import build_leaderboard
from harness.analysis.table import Row, Table
from harness.errors import HarnessError
from harness.plan.cell import cell_of_record
from harness.results.finding import cell_named
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.answer import saved_adapter
from harness.suite.schema import AXES


def askable(run: Run) -> list[CellResult]:
    """The cells of ``run`` that answered here, in matrix order.

    Raises:
        HarnessError: there are fewer than two.
    """
    found = [cell for cell in run.cells if _has_answered(cell)]
    if len(found) < 2:
        what = f"two variants are needed that answered here; the run has {len(found)}"
        hint = "Run a suite with an adapter: its baseline is evaluated too."
        if run.suite.get("imported"):
            hint = "Imported answers have no model here that could be asked."
        raise HarnessError(what, where=str(run.directory), hint=hint)
    return found


def chosen_cell(run: Run, name: str) -> CellResult:
    """The cell of ``run`` whose key begins with ``name``, which must have answered here.

    Raises:
        HarnessError: there is none, or several, or it has not.
    """
    cell = cell_named(run.cells, name, run.directory)
    if not _has_answered(cell):
        raise HarnessError(f"{cell.key} cannot be asked: {cell.reason or cell.status}")
    return cell


def check_own_adapter(run: Run, cell: CellResult) -> None:
    """Refuse a tuned ``cell`` whose adapter is not the one that it was scored with.

    Raises:
        HarnessError: it is gone, or another one.
    """
    if not cell.is_baseline:
        saved_adapter(run.paths(cell), cell.companions)


def names(cells: Sequence[CellResult]) -> dict[str, str]:
    """Cell key → a short name: its values on the axes on which ``cells`` differ."""
    axes = [
        axis for axis in AXES
        if len({getattr(cell, axis) for cell in cells if getattr(cell, axis) is not None}) > 1
    ]  # fmt: skip
    found = {}
    for cell in cells:
        values = [(axis, getattr(cell, axis)) for axis in axes or ("adapter",)]
        shown = [f"seed {v}" if axis == "seed" else v for axis, v in values if v is not None]
        found[cell.key] = " · ".join(shown)
    return found


def default_pair(run: Run, cells: Sequence[CellResult]) -> tuple[CellResult, CellResult]:
    """A baseline, and the variant that the report says to ship; else the best that was tuned."""
    board = build_leaderboard(run)
    for table, decision in zip(board.tables, decisions(board), strict=True):
        rows = [decision.row] if decision.row else []
        rows += _best_first(table)  # the untouched model may be what is best
        pair = next(filter(None, (_pair_of(row, cells) for row in rows)), None)
        if pair:
            return pair
    return cells[0], cells[1]


def _best_first(table: Table) -> list[Row]:
    sign = -1 if table.higher_is_better else 1
    metric = table.primary_metric
    return sorted(table.compared(), key=lambda row: sign * (row.mean(metric) or 0.0))


def _pair_of(row: Row, cells: Sequence[CellResult]) -> tuple[CellResult, CellResult] | None:
    keys = {cell.key for cell in cells}
    tuned = next((cell for cell in row.finished if cell.key in keys), None)
    if tuned is None or row.baseline is None or row.baseline.key not in keys:
        return None
    return (row.baseline, tuned) if row.baseline.key != tuned.key else None


def _has_answered(cell: CellResult) -> bool:
    if cell.status != "ok" or not cell.provenance.cell:
        return False  # failed, or another tool's
    return cell_of_record(cell.provenance.cell).has_answers
