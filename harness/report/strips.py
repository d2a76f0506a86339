"""Strips of points: what each value of an axis does, how far seeds and latencies lie apart."""

from __future__ import annotations

import statistics

from harness.report.figure import (
    COLOURS,
    INK,
    Figure,
    Spec,
    anchor,
    drawn_on,
    names,
    quantity,
    said,
    speaking,
)
from harness.report.heat import AXES
from harness.table import Table

PERCENTILES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
MAX_POINTS = 60
"""Rows of a strip chart: above these it says nothing that the table does not."""


def main_effects(table: Table) -> Figure | None:
    """A point per row for every value of every axis that varies, and the mean as a bar."""
    rows = table.compared()
    varied = [axis for axis in AXES if len({getattr(row, axis) for row in rows}) > 1]
    if not varied or len(rows) > MAX_POINTS:
        return None
    metric = table.primary_metric
    points: list[Spec] = []
    means: list[Spec] = []
    for axis in varied:
        for level in dict.fromkeys(getattr(row, axis) for row in rows):
            here = [row for row in rows if getattr(row, axis) == level]
            label = f"{axis}: {level}"
            points += [
                {"level": label, "delta": row.deltas[metric].delta,
                 "href": f"#{anchor(table.dataset, row.name)}",
                 "says": f"{row.name}: Δ {metric} {row.deltas[metric].delta:+.3f}"}
                for row in here
            ]  # fmt: skip
            mean = statistics.fmean(row.deltas[metric].delta for row in here)
            says = f"{label}: mean Δ {metric} {mean:+.3f} of {len(here)} rows"
            means.append({"level": label, "delta": mean, "says": says})
    text = f"Δ {metric} of every row by each axis alone; the bar is the mean over rows."
    spec = _strip(points, means, "level", ("delta", f"Δ {metric}"))
    return Figure(anchor("effects", table.dataset), text, spec, page_only=True)


def seed_spread(table: Table) -> Figure | None:
    """A point per seed for every row of several, and their mean as a bar."""
    metric = table.primary_metric
    rows = [row for row in table.rows if len(row.values(metric)) > 1][:MAX_POINTS]
    if not rows:
        return None
    points: list[Spec] = []
    means: list[Spec] = []
    for row in rows:
        for cell in row.finished:
            value = cell.value(metric)
            if value is not None and value.value is not None:
                says = f"{row.name}, seed {cell.seed}: {metric} {value.value:.4g}"
                points.append({"row": row.name, "value": value.value, "says": says})
        mean = row.mean(metric) or 0.0
        spread = row.spread(metric) or 0.0
        says = f"{row.name}: mean {mean:.4g}, standard deviation {spread:.2g}"
        means.append({"row": row.name, "value": mean, "says": says})
    text = f"{metric} of every seed; the bar is the mean over seeds."
    spec = _strip(points, means, "row", ("value", metric))
    return Figure(anchor("seeds", table.dataset), text, spec, page_only=True)


def latency_spread(table: Table) -> Figure | None:
    """Latency from p50 through p95 to p99 of every row; a run keeps no single request's time."""
    rows = [row for row in table.rows if all(row.values(name) for name in PERCENTILES)]
    if not rows or len(rows) > MAX_POINTS or len(table.machines()) > 1:
        return None
    values = []
    for row in rows:
        p50, p95, p99 = (row.mean(name) or 0.0 for name in PERCENTILES)
        says = f"{row.name}: p50 {p50:.4g} ms, p95 {p95:.4g} ms, p99 {p99:.4g} ms"
        values.append({"row": row.name, "p50": p50, "p95": p95, "p99": p99, "says": says})
    title, y = "latency, ms", names("row")
    tick: Spec = {"type": "tick", "color": INK, "thickness": 2, "size": 12}
    point: Spec = {"type": "point", "filled": True, "size": 60, "color": COLOURS["better"]}
    layers = [
        {"mark": {"type": "rule", "color": INK},
         "encoding": {"y": y, "x": quantity("p50", title), "x2": {"field": "p99"}}},
        *({"mark": speaking(mark), "encoding": {"y": y, "x": quantity(field, title), **said()}}
          for mark, field in ((tick, "p95"), (tick, "p99"), (point, "p50"))),
    ]  # fmt: skip
    text = "Latency: the point is the median, the ticks are p95 and p99."
    spec = {"data": {"values": values}, "layer": layers, "width": 460, "height": {"step": 20}}
    return Figure(anchor("latency", table.dataset), text, drawn_on(spec), page_only=True)


def _strip(points: list[Spec], means: list[Spec], y: str, x: tuple[str, str]) -> Spec:
    place = {"y": names(y), "x": quantity(x[0], x[1], zero=x[0] == "delta")}
    point: Spec = {"type": "point", "filled": True, "size": 45, "opacity": 0.75,
                   "color": COLOURS["better"]}  # fmt: skip
    link = {"href": {"field": "href"}} if "href" in points[0] else {}
    # the points come last: they lie on top, where a pointer reaches them
    layers = [
        {"data": {"values": means}, "encoding": {**place, **said()},
         "mark": speaking({"type": "tick", "color": INK, "thickness": 4, "size": 18})},
        {"mark": speaking(point), "encoding": {**place, **link, **said()}},
    ]  # fmt: skip
    data = {"values": points}
    return drawn_on({"data": data, "layer": layers, "width": 460, "height": {"step": 22}})
