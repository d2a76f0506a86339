"""The leaderboard as rich tables within 80 columns."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from harness.leaderboard import Leaderboard, Row, Table
from harness.report.sections import MISSING, number


def print_leaderboard(board: Leaderboard, console: Console) -> None:
    """Print one table per data set, skipped rows counted below it."""
    for table in board.tables:
        console.print(_table(table))
        skipped = sum(row.status == "skipped" for row in table.rows)
        if skipped:
            console.print(f"  {skipped} rows skipped; harness plan names the reasons.")


def _table(table: Table) -> RichTable:
    found = RichTable(
        title=f"{table.dataset}: {table.primary_metric}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("model", "quant", "adapter"):
        found.add_column(name, no_wrap=True)
    for name in ("value", "Δ", "95%", "verdict"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        if row.status != "skipped":
            found.add_row(row.model, row.quantization, row.adapter, *_numbers(table, row))
    return found


def _numbers(table: Table, row: Row) -> tuple[str, ...]:
    mean = row.mean(table.primary_metric)
    if mean is None:
        return (MISSING, MISSING, MISSING, row.status)
    delta = row.deltas.get(table.primary_metric)
    if delta is None:
        return (number(mean), MISSING, MISSING, MISSING)
    interval = f"{delta.low:+.2f} {delta.high:+.2f}"
    return (number(mean), f"{delta.delta:+.3f}", interval, delta.verdict)
