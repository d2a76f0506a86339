"""Charts of latency: percentiles of every row, and the distribution behind them."""

from __future__ import annotations

from harness.analysis.table import Row, Table
from harness.report.drawn_rows import drawn_rows
from harness.report.figure import (
    COLOURS,
    INK,
    Figure,
    Spec,
    anchor,
    by_name,
    drawn_on,
    hover,
    names,
    quantity,
    tooltip,
)

PERCENTILES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")


def percentiles(table: Table) -> Figure | None:
    """From p50 through p95 to p99 of every row that was measured on this data set."""
    measured = [row for row in table.rows if not row.is_borrowed(PERCENTILES[0])]
    complete = [row for row in measured if all(row.values(name) for name in PERCENTILES)]
    rows, left_out = drawn_rows(table, complete)
    if not rows or len(table.machines()) > 1:
        return None
    values = []
    for row in rows:
        p50, p95, p99 = (row.mean(name) or 0.0 for name in PERCENTILES)
        hint = f"{row.name}: p50 {p50:.4g} ms, p95 {p95:.4g} ms, p99 {p99:.4g} ms"
        values.append({"row": row.name, "p50": p50, "p95": p95, "p99": p99, "tooltip": hint})
    title, y = "latency, ms", names("row")
    tick: Spec = {"type": "tick", "color": INK, "thickness": 2, "size": 12}
    point: Spec = {"type": "point", "filled": True, "size": 60, "color": COLOURS["better"]}
    layers = [
        {"mark": {"type": "rule", "color": INK},
         "encoding": {"y": y, "x": quantity("p50", title), "x2": {"field": "p99"}}},
        *({"mark": hover(mark), "encoding": {"y": y, "x": quantity(field, title), **tooltip()}}
          for mark, field in ((tick, "p95"), (tick, "p99"), (point, "p50"))),
    ]  # fmt: skip
    text = f"Latency: the point is the median, the ticks are p95 and p99.{left_out}"
    spec = {"data": {"values": values}, "layer": layers, "width": 460, "height": {"step": 20}}
    return Figure(anchor("latency", table.dataset), text, drawn_on(spec), page_only=True)


def distribution(table: Table) -> Figure | None:
    """Empirical distribution of the latencies, a line per row.

    It has a step for every timed prompt of the rounds that count. A panel holds the rows of one
    model and quantization, so that its lines differ in the adapter alone.
    """
    timed = {row.name: _timed(row) for row in table.rows}
    several = [row for row in table.rows if len(timed[row.name]) > 1]
    rows, left_out = drawn_rows(table, several)
    if not rows or len(table.machines()) > 1:
        return None
    values = [
        {"panel": _panel(row), "adapter": row.adapter, "ms": ms, "share": share}
        for row in rows
        for ms, share in _steps(timed[row.name])
    ]
    encoding = {
        "x": quantity("ms", "latency, ms", zero=False),
        "y": {**quantity("share", "share of prompts"), "axis": {"format": "%", "tickCount": 5}},
        **by_name("adapter", list(dict.fromkeys(row.adapter for row in rows))),
    }
    line: Spec = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5}
    spec = {
        "data": {"values": values},
        "facet": {"field": "panel", "type": "nominal", "title": None,
                  "sort": list(dict.fromkeys(_panel(row) for row in rows))},
        "columns": 2,
        "spec": {"width": 230, "height": 110, "mark": line, "encoding": encoding},
    }  # fmt: skip
    text = "Share of the timed prompts that finished within the given number of milliseconds."
    text += left_out
    return Figure(anchor("latencies", table.dataset), text, drawn_on(spec), page_only=True)


def _panel(row: Row) -> str:
    return f"{row.model}, {row.quantization}"


def _timed(row: Row) -> list[float]:
    return sorted(ms for cell in row.finished for ms in cell.facts.get("latency_ms", ()))


def _steps(ordered: list[float]) -> list[tuple[float, float]]:
    """The distribution function from 0 to 1: at each time the share of those up to it."""
    n = len(ordered)
    return [(ordered[0], 0.0), *((ms, k / n) for k, ms in enumerate(ordered, start=1))]
