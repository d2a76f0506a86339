"""Strip charts: the effect of each axis value, and the spread over seeds."""

from __future__ import annotations

import statistics

from harness.analysis.table import Table
from harness.counting import counted
from harness.report.charts.heat import AXES
from harness.report.drawn_rows import drawn_rows
from harness.report.figure import (
    COLOURS,
    INK,
    MAX_ROWS,
    Figure,
    Spec,
    anchor,
    drawn_on,
    hover,
    names,
    quantity,
    tooltip,
)

MOST_POINTS = 2_000
"""Most points of one chart: 100,000 take 13 MB, and lie on top of each other."""


def main_effects(table: Table) -> Figure | None:
    """A point per row for every value of every axis that varies, and the mean as a bar.

    Means do not grow with the rows, so they are drawn of any grid: of a big one alone.
    """
    rows = table.compared()
    levels = {axis: list(dict.fromkeys(getattr(row, axis) for row in rows)) for axis in AXES}
    # a line for each value: of an axis with hundreds of them no chart is read
    varied = [axis for axis in AXES if 1 < len(levels[axis]) <= MAX_ROWS]
    if not varied:
        return None
    metric = table.primary_metric
    each = len(rows) * len(varied) <= MOST_POINTS
    points: list[Spec] = []
    means: list[Spec] = []
    for axis in varied:
        for level in levels[axis]:
            here = [row for row in rows if getattr(row, axis) == level]
            label = f"{axis}: {level}"
            points += [
                {"level": label, "delta": row.deltas[metric].delta,
                 "href": f"#{anchor(table.dataset, row.name)}",
                 "tooltip": f"{row.name}: Δ {metric} {row.deltas[metric].delta:+.3f}"}
                for row in here if each
            ]  # fmt: skip
            mean = statistics.fmean(row.deltas[metric].delta for row in here)
            hint = f"{label}: mean Δ {metric} {mean:+.3f} of {counted(len(here), 'row')}"
            means.append({"level": label, "delta": mean, "tooltip": hint})
    if each:
        text = f"Δ {metric} of every row by each axis alone; the bar is the mean over rows."
    else:
        text = f"Mean Δ {metric} by each axis alone, over {counted(len(rows), 'row')}."
    long = [axis for axis in AXES if len(levels[axis]) > MAX_ROWS]
    if long:
        text += f" Not drawn, with more than {MAX_ROWS} values: {', '.join(long)}."
    spec = _strip(points, means, "level", ("delta", f"Δ {metric}"))
    return Figure(anchor("effects", table.dataset), text, spec, page_only=True)


def seed_spread(table: Table) -> Figure | None:
    """A point per seed for every row of several, and their mean as a bar."""
    metric = table.primary_metric
    several = [row for row in table.rows if len(row.values(metric)) > 1]
    rows, left_out = drawn_rows(table, several)
    if not rows or sum(len(row.finished) for row in rows) > MOST_POINTS:
        return None
    points: list[Spec] = []
    means: list[Spec] = []
    for row in rows:
        for cell in row.finished:
            value = cell.value(metric)
            if value is not None and value.value is not None:
                hint = f"{row.name}, seed {cell.seed}: {metric} {value.value:.4g}"
                points.append({"row": row.name, "value": value.value, "tooltip": hint})
        mean = row.mean(metric) or 0.0
        spread = row.spread(metric) or 0.0
        hint = f"{row.name}: mean {mean:.4g}, standard deviation {spread:.2g}"
        means.append({"row": row.name, "value": mean, "tooltip": hint})
    text = f"{metric} of every seed; the bar is the mean over seeds.{left_out}"
    spec = _strip(points, means, "row", ("value", metric))
    return Figure(anchor("seeds", table.dataset), text, spec, page_only=True)


def _strip(points: list[Spec], means: list[Spec], y: str, x: tuple[str, str]) -> Spec:
    place = {"y": names(y), "x": quantity(x[0], x[1], zero=x[0] == "delta")}
    point: Spec = {"type": "point", "filled": True, "size": 45, "opacity": 0.75,
                   "color": COLOURS["better"]}  # fmt: skip
    # the points come last so that they lie on top, where a pointer reaches them
    layers: list[Spec] = [
        {"data": {"values": means}, "encoding": {**place, **tooltip()},
         "mark": hover({"type": "tick", "color": INK, "thickness": 4, "size": 18})},
    ]  # fmt: skip
    if points:
        link = {"href": {"field": "href"}} if "href" in points[0] else {}
        layers.append({"mark": hover(point), "encoding": {**place, **link, **tooltip()}})
    data = {"values": points or means}
    return drawn_on({"data": data, "layer": layers, "width": 460, "height": {"step": 22}})
