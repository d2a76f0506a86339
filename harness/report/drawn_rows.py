"""Which rows of a long table a chart draws: those among which a reader decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.table import Row, Table
from harness.counting import agreeing, counted
from harness.metrics.meaning import title_of
from harness.report.figure import MAX_ROWS


class DrawnRows(NamedTuple):
    """The rows of a chart, and what it must say of the others."""

    rows: list[Row]
    note: str
    """A sentence after a space; empty if all rows are drawn."""


def drawn_rows(table: Table, rows: Sequence[Row], most: int = MAX_ROWS) -> DrawnRows:
    """At most ``most`` of ``rows``: those with the best primary metric, in the suite's order.

    The first ones of a big grid are those of its first model, of which nobody may want any.
    """
    if len(rows) <= most:
        return DrawnRows(list(rows), "")
    if table.higher_is_better is None:  # no value is better than another
        return DrawnRows(list(rows[:most]), _note(most, len(rows), "first ones of the suite"))
    sign = -1 if table.higher_is_better else 1
    means = {row.name: row.mean(table.primary_metric) for row in rows}
    scored = [row for row in rows if means[row.name] is not None]
    best = {r.name for r in sorted(scored, key=lambda r: sign * (means[r.name] or 0.0))[:most]}
    what = f"ones with the best {title_of(table.primary_metric)}"
    return DrawnRows([r for r in rows if r.name in best], _note(len(best), len(rows), what))


def _note(kept: int, total: int, which: str) -> str:
    return (
        f" {kept} of {counted(total, 'variant')} {agreeing(kept, 'is', 'are')} drawn, the {which};"
        " the table has all."
    )
