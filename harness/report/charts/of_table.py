"""The charts of one data set: differences, trade-offs, training."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import LATENCY, Standing
from harness.analysis.table import Row, Table
from harness.counting import counted
from harness.report.charts.heat import heat_maps
from harness.report.charts.latency import distribution, percentiles
from harness.report.charts.strips import main_effects, seed_spread
from harness.report.drawn_rows import drawn_rows
from harness.report.figure import (
    COLOURS,
    INK,
    SHAPES,
    Figure,
    Spec,
    anchor,
    by_name,
    by_verdict,
    drawn_on,
    hover,
    names,
    quantity,
    tooltip,
)
from harness.report.section import mean_text, number, show_delta
from harness.results.result import CellResult

CURVES, CURVE_POINTS = 12, 80
"""Training runs that are drawn, and the points kept of each."""
TRADES = {
    "memory": "peak memory, MiB", "latency": "median latency, ms", "training": "training time, s",
}  # fmt: skip
"""What quality is traded for → the axis' title."""


def figures(board: Leaderboard, table: Table, ranked: Sequence[Standing]) -> list[Figure]:
    """The charts of one data set, in reading order."""
    made = [
        forest(table), *(trade_off(table, ranked, cost) for cost in TRADES), *heat_maps(table),
        main_effects(table), seed_spread(table), percentiles(table), distribution(table),
        training(board, table),
    ]  # fmt: skip
    return [figure for figure in made if figure is not None]


def forest(table: Table) -> Figure | None:
    """Paired differences to the baseline with intervals, the margin band and a dot per seed."""
    metric = table.primary_metric
    rows, left_out = drawn_rows(table, table.compared())
    if not rows:
        return None
    values = [
        {
            "row": row.name, "delta": d.delta, "low": d.low, "high": d.high, "verdict": d.verdict,
            "href": f"#{anchor(table.dataset, row.name)}",
            "tooltip": f"{row.name}: {metric} {show_delta(d)}, {d.verdict}",
        }
        for row in rows
        for d in [row.deltas[metric]]
    ]  # fmt: skip
    seeds = [
        {"row": row.name, "delta": value, "tooltip": f"{row.name}: Δ {value:+.3f} of one seed"}
        for row in rows
        for value in row.deltas[metric].per_seed
    ]
    layers = [*_margin_band(rows), *_forest_layers(seeds, f"Δ {metric}, fine-tuned − baseline")]
    spec = {"data": {"values": values}, "layer": layers, "width": 460, "height": {"step": 20}}
    text = "Paired differences with their intervals; the band is the margin, ticks are seeds."
    text += left_out
    return Figure(anchor("forest", table.dataset), text, drawn_on(spec))


def _margin_band(rows: list[Row]) -> list[Spec]:
    margins = [float(c.evaluation("margin") or 0) for row in rows for c in row.cells]
    margin = max(margins, default=0.0)
    band = {"data": {"values": [{"from": -margin, "to": margin}]},
            "encoding": {"x": quantity("from", None), "x2": {"field": "to"}},
            "mark": {"type": "rect", "opacity": 0.18, "color": INK}}  # fmt: skip
    return [band] if margin else []


def _forest_layers(seeds: list[Spec], title: str) -> list[Spec]:
    y, colour = names("row"), by_verdict(COLOURS)
    point: Spec = {"type": "point", "filled": True, "size": 80}
    return [
        {"data": {"values": [{"zero": 0}]}, "mark": {"type": "rule", "color": INK},
         "encoding": {"x": quantity("zero", title)}},
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"y": y, "x": quantity("low", title), "x2": {"field": "high"},
                      "color": colour}},
        {"mark": hover(point),
         "encoding": {"y": y, "x": quantity("delta", title), "color": colour,
                      "shape": by_verdict(SHAPES), "href": {"field": "href"}, **tooltip()}},
        {"data": {"values": seeds},
         "mark": hover({"type": "tick", "color": INK, "thickness": 2}),
         "encoding": {"y": y, "x": quantity("delta", title), **tooltip()}},
    ]  # fmt: skip


def trade_off(table: Table, ranked: Sequence[Standing], cost: str) -> Figure | None:
    """Quality against a cost; rows that no other row beats in both are filled."""
    points = _points(table, ranked, cost)
    rows, left_out = drawn_rows(table, [row for row, _, _ in points])
    drawn = {row.name for row in rows}
    if len(points) < 2 or table.higher_is_better is None:
        return None
    sign = 1 if table.higher_is_better else -1
    metric = table.primary_metric
    values = [
        {
            "row": row.name, "cost": paid, "quality": quality, "adapter": row.adapter,
            "front": "behind it" if _beaten(sign * quality, paid, points, sign) else "front",
            "href": f"#{anchor(table.dataset, row.name)}",
            "tooltip": f"{row.name}: {metric} {mean_text(row, metric)}; {TRADES[cost]}:"
                    f" {number(paid)}",
        }
        for row, quality, paid in points
        if row.name in drawn
    ]  # fmt: skip
    spec = {
        "data": {"values": values}, "width": 460, "height": 220,
        "mark": hover({"type": "point", "size": 90, "strokeWidth": 2}),
        "encoding": {
            "x": quantity("cost", TRADES[cost], zero=False),
            "y": quantity("quality", metric, zero=False),
            "shape": {"field": "adapter", "type": "nominal", "title": "adapter",
                      "legend": {"labelLimit": 160},
                      "scale": {"domain": list(dict.fromkeys(r.adapter for r in table.rows))}},
            "fill": {"field": "front", "type": "nominal", "title": "Pareto",
                     "scale": {"domain": ["front", "behind it"],
                               "range": [COLOURS["better"], "transparent"]}},
            "stroke": {"value": COLOURS["better"]}, "href": {"field": "href"}, **tooltip(),
        },
    }  # fmt: skip
    text = f"Quality against {TRADES[cost]}; filled: no row beats it in both.{left_out}"
    if cost == "latency" and (elsewhere := table.measured_on(LATENCY) - {table.dataset}):
        text += f" Latency was measured on the prompts of {', '.join(sorted(elsewhere))}."
    return Figure(anchor("trade-off", table.dataset, cost), text, drawn_on(spec))


Point = tuple[Row, float, float]
"""A row, its quality and what it costs."""


def _points(table: Table, ranked: Sequence[Standing], cost: str) -> list[Point]:
    """Scored rows with a cost; speed of different hardware is not compared."""
    if cost == "training":
        if len(table.machines()) > 1 or len(table.numbers_of_devices()) > 1:
            return []
        metric = table.primary_metric
        return [
            (row, quality, seconds)
            for row in table.rows
            if (quality := row.mean(metric)) is not None
            and (seconds := row.mean("train_seconds")) is not None
        ]
    paid = {"memory": "memory_mib", "latency": "latency_ms"}[cost]
    return [(s.row, s.quality, value) for s in ranked if (value := getattr(s, paid)) is not None]


def _beaten(worth: float, paid: float, points: list[Point], sign: int) -> bool:
    return any(
        sign * q >= worth and c <= paid and (sign * q, c) != (worth, paid) for _, q, c in points
    )


CURVED = {
    "loss": "training loss", "mean_token_accuracy": "token accuracy", "entropy": "entropy",
    "eval_loss": "test loss",
}  # fmt: skip
"""Field of the training log → its title; the last is of test examples, before, within and after."""


def training(board: Leaderboard, table: Table) -> Figure | None:
    """Training loss, token accuracy and entropy by step, and test loss, a line per run."""
    values: list[Spec] = []
    runs: list[str] = []
    for row in table.rows:
        for cell in row.finished:
            log = board.run.train_log(cell) if len(runs) < CURVES else []
            if any("loss" in record for record in log):
                name = row.name if cell.seed is None else f"{row.name}, seed {cell.seed}"
                runs.append(name)
                values += _curves(name, log) + _evaluated(name, row, cell, log)
    if not values:
        return None
    there = [title for title in CURVED.values() if any(v["what"] == title for v in values)]
    spec = {
        "data": {"values": values},
        "facet": {"row": {"field": "what", "type": "nominal", "title": None, "sort": there}},
        "spec": {"width": 460, "height": 130, "layer": _training_layers(runs)},
        "resolve": {"scale": {"y": "independent"}},
    }
    text = f"{', '.join(there).capitalize()} of the first {counted(len(runs), 'run')}."
    if CURVED["eval_loss"] in there:
        text += " Points are evaluations on the test examples."
    return Figure(anchor("training", table.dataset), text, drawn_on(spec))


def _training_layers(runs: Sequence[str]) -> list[Spec]:
    encoding = {
        "x": quantity("step", "step", zero=False),
        "y": quantity("value", None, zero=False),
        **by_name("run", runs),
    }
    only = {"filter": f"datum.what == '{CURVED['eval_loss']}'"}
    return [
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": encoding},
        {"mark": hover({"type": "point", "filled": True, "size": 40}), "transform": [only],
         "encoding": {**encoding, **tooltip()}},
    ]  # fmt: skip


def _curves(name: str, log: list[dict[str, float]]) -> list[Spec]:
    """At most `CURVE_POINTS` steps of a run, for every field that it logged; all evaluations."""
    numbered = [(record.get("step", k), record) for k, record in enumerate(log, start=1)]
    logged = [item for item in numbered if "loss" in item[1]]
    apart = max(1, len(logged) // CURVE_POINTS)
    kept = [*logged[::apart], *(item for item in numbered if "eval_loss" in item[1])]
    return [
        _curve_point(name, step, key, record[key])
        for step, record in kept
        for key in CURVED
        if key in record
    ]


def _curve_point(name: str, step: float, key: str, value: float) -> Spec:
    hint = f"{name}: {CURVED[key]} {number(value)} at step {step}"
    return {"run": name, "step": step, "what": CURVED[key], "value": value, "tooltip": hint}


def _evaluated(name: str, row: Row, cell: CellResult, log: list[dict[str, float]]) -> list[Spec]:
    """The test loss before and after training, where both were measured."""
    base = row.baseline.value("eval_loss") if row.baseline else None
    last = cell.value("eval_loss")
    if base is None or last is None or base.value is None or last.value is None:
        return []
    step = int(log[-1].get("step", len(log)))
    return [
        _curve_point(name, 0, "eval_loss", base.value),
        _curve_point(name, step, "eval_loss", last.value),
    ]
