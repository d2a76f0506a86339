"""A leaderboard and a comparison as records for pandas, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.difference import Delta
    from harness.analysis.leaderboard import Leaderboard
    from harness.analysis.pairs import Comparison
    from harness.analysis.table import Row, Table

MISSING = "–"
Cells = Sequence[str]
"""The texts of one row."""


def leaderboard_records(board: Leaderboard) -> list[dict[str, object]]:
    """One record per variant and metric; a variant without values has one with its status."""
    return [
        _record(table, row, metric)
        for table in board.tables
        for row in table.rows
        for metric in _metrics(table, row)
    ]


def _metrics(table: Table, row: Row) -> list[str]:
    """The metrics of a row, the primary one first; at the end what another cell measured for it."""
    lender = row.speeds.cell if row.speeds else None
    lent = [v for v in lender.values if row.is_borrowed(v.metric)] if lender else []
    own = [v for cell in row.finished for v in cell.values]
    found = (v.metric for v in (*own, *lent) if v.category is None)
    return list(dict.fromkeys([table.primary_metric, *found]))


def _record(table: Table, row: Row, metric: str) -> dict[str, object]:
    lender = row.speeds.cell if row.speeds and row.is_borrowed(metric) else None
    cells = (*row.finished, lender) if lender else row.finished
    value = next((v for cell in cells if (v := cell.value(metric))), None)
    delta = row.deltas.get(metric)
    is_primary = metric == table.primary_metric
    return {
        "dataset": table.dataset,
        "model": row.model,
        "quantization": row.quantization,
        "adapter": row.adapter,
        "status": row.status,
        "reason": row.reason,
        "metric": metric,
        "primary": is_primary,
        "value": row.mean(metric),
        "spread": row.spread(metric),
        "seeds": len(row.values(metric)),
        "measured_on": lender.dataset if lender else None,
        "unit": value.unit if value else None,
        "higher_is_better": value.higher_is_better if value else None,
        "tie": table.ties.letters.get(row.name) if table.ties and is_primary else None,
        "delta": delta.delta if delta else None,
        "ci_low": delta.low if delta else None,
        "ci_high": delta.high if delta else None,
        "p_value": _p(delta),
        "won": delta.won if delta else None,
        "lost": delta.lost if delta else None,
        "verdict": delta.verdict if delta else None,
    }


def _p(delta: Delta | None) -> float | None:
    """The p-value after Holm's correction, or the plain one if the comparison is in no family."""
    if delta is None:
        return None
    return delta.p_value if delta.p_adjusted is None else delta.p_adjusted


def leaderboard_html(board: Leaderboard) -> str:
    """A table for each data set, with the columns that the terminal shows."""
    columns = ("model", "quantization", "adapter", "value", "tie", "Δ", "95%", "p", "verdict")
    return "".join(
        html_table(
            f"{table.dataset}: {table.primary_metric}",
            columns,
            [_row(table, row) for row in table.rows],
        )
        for table in board.tables
    )


def _row(table: Table, row: Row) -> Cells:
    axes = (row.model, row.quantization, row.adapter)
    mean, spread = row.mean(table.primary_metric), row.spread(table.primary_metric)
    if mean is None:
        return (*axes, *[MISSING] * 5, f"{row.status}: {row.reason}" if row.reason else row.status)
    value = f"{mean:.4g}" if spread is None else f"{mean:.4g} ± {spread:.2g}"
    tie = table.ties.letters.get(row.name, MISSING) if table.ties else MISSING
    return (*axes, value, tie, *_difference(row.deltas.get(table.primary_metric)))


def _difference(delta: Delta | None) -> Cells:
    """Δ, its interval, p and the verdict."""
    if delta is None:
        return [MISSING] * 4
    p = _p(delta)
    interval = f"[{delta.low:+.3f}, {delta.high:+.3f}]"
    return (f"{delta.delta:+.3f}", interval, MISSING if p is None else f"{p:.2g}", delta.verdict)


def comparison_html(comparison: Comparison) -> str:
    """A row for each pair, in the primary metric of its cells."""
    rows: list[Cells] = []
    for pair in comparison:
        metric = pair.first.result.primary_metric
        cells = list(_difference(pair.deltas.get(metric)))
        if pair.reason:
            cells[-1] = f"not comparable: {pair.reason}"
        rows.append((pair.name, metric, *cells))
    return html_table("second minus first", ("pair", "metric", "Δ", "95%", "p", "verdict"), rows)


def html_table(caption: str, columns: Cells, rows: Iterable[Cells]) -> str:
    """A table in HTML. All text is escaped: names of models and data sets come from outside."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in cells)}</tr>" for cells in rows
    )
    title = f"<caption>{escape(caption)}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
