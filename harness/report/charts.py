"""Charts as Vega-Lite specifications, drawn to SVG without a browser (vl-convert).

An SVG needs no script, prints, and stands in a pull request beside the Markdown. Colours are Okabe
and Ito's, which the colour-blind tell apart; verdicts differ in shape too. Text is grey enough for
a light and a dark page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from harness.leaderboard import Leaderboard, Row, Table
from harness.objectives import standings
from harness.report.section import anchor

Spec = dict[str, Any]
INK, GRID = "#7a828c", "#8a929c"
COLOURS = {
    "better": "#0072B2", "worse": "#D55E00", "equivalent": "#009E73", "undecided": "#8a8f98",
}  # fmt: skip
SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equivalent": "square",
          "undecided": "circle"}  # fmt: skip
BASE_URL = "https://vega.github.io/vega-datasets/"
"""What the drawing library puts before a relative link."""
MAX_ROWS = 60
"""Rows that a chart holds; a table holds the rest."""
CURVES, CURVE_POINTS = 12, 80
"""Training runs that are drawn, and the points kept of each."""


@dataclass(frozen=True)
class Figure:
    """One chart, and the sentence that says what it shows."""

    name: str
    """File name without its suffix, unique in a report."""
    text: str
    spec: Spec

    @property
    def svg(self) -> str:
        """The chart drawn."""
        import vl_convert

        drawn = vl_convert.vegalite_to_svg(self.spec).replace(f'"{BASE_URL}#', '"#')
        return _own_names(drawn, self.name)


def _own_names(svg: str, figure: str) -> str:
    """``svg`` with its inner names numbered from 1 under the figure's: they count up a process."""
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    for number, name in enumerate(names, start=1):
        svg = re.sub(rf'(?<=["#]){re.escape(name)}(?=["\)])', f"{figure}-{number}", svg)
    return svg


def can_draw() -> bool:
    """Whether vl-convert is installed."""
    return find_spec("vl_convert") is not None


def figures(board: Leaderboard, table: Table) -> list[Figure]:
    """The charts of one data set: differences, trade-offs, a heat map, training."""
    made = (
        forest(table), trade_off(board, table, "memory_mib", "peak memory, MiB"),
        trade_off(board, table, "latency_ms", "median latency, ms"), heat_map(table),
        training(board, table),
    )  # fmt: skip
    return [figure for figure in made if figure is not None]


def forest(table: Table) -> Figure | None:
    """Paired differences to the baseline with intervals, the margin band and a dot per seed."""
    metric = table.primary_metric
    rows = [row for row in table.rows if metric in row.deltas][:MAX_ROWS]
    if not rows:
        return None
    values = [
        {
            "row": row.name, "delta": d.delta, "low": d.low, "high": d.high, "verdict": d.verdict,
            "href": f"#{anchor(table.dataset, row.name)}",
        }
        for row in rows
        for d in [row.deltas[metric]]
    ]  # fmt: skip
    seeds = [
        {"row": row.name, "delta": value} for row in rows for value in row.deltas[metric].per_seed
    ]
    margin = max((_margin(row) for row in rows), default=0.0)
    y = {"field": "row", "type": "nominal", "sort": None, "title": None,
         "axis": {"labelLimit": 320}}  # fmt: skip
    colour = _verdict_scale(COLOURS)
    title = f"Δ {metric}, fine-tuned − baseline"
    layers: list[Spec] = []
    if margin:
        x = {"x": _number("from", title), "x2": {"field": "to"}}
        band = {"data": {"values": [{"from": -margin, "to": margin}]}, "encoding": x,
                "mark": {"type": "rect", "opacity": 0.18, "color": INK}}  # fmt: skip
        layers.append(band)
    layers += [
        {"data": {"values": [{"zero": 0}]}, "mark": {"type": "rule", "color": INK},
         "encoding": {"x": _number("zero", title)}},
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"y": y, "x": _number("low", title),
                      "x2": {"field": "high"}, "color": colour}},
        {"mark": {"type": "point", "filled": True, "size": 80},
         "encoding": {"y": y, "x": _number("delta", title), "color": colour,
                      "shape": _verdict_scale(SHAPES),
                      "href": {"field": "href"}}},
        {"data": {"values": seeds}, "mark": {"type": "tick", "color": INK, "thickness": 2},
         "encoding": {"y": y, "x": _number("delta", title)}},
    ]  # fmt: skip
    spec = {"data": {"values": values}, "layer": layers, "width": 460, "height": {"step": 20}}
    text = "Paired differences with their intervals; the band is the margin, ticks are seeds."
    return Figure(anchor("forest", table.dataset), text, _page(spec))


def trade_off(board: Leaderboard, table: Table, cost: str, title: str) -> Figure | None:
    """Quality against a cost; the Pareto front's rows are filled."""
    found = [s for s in standings(table, board.objectives) if getattr(s, cost) is not None]
    if len(found) < 2:
        return None
    values = [
        {
            "row": s.row.name, "cost": getattr(s, cost), "quality": s.quality,
            "front": "front" if s.on_front else "behind it", "adapter": s.row.adapter,
            "href": f"#{anchor(table.dataset, s.row.name)}",
        }
        for s in found[:MAX_ROWS]
    ]  # fmt: skip
    spec = {
        "data": {"values": values}, "width": 460, "height": 220,
        "mark": {"type": "point", "size": 90, "strokeWidth": 2},
        "encoding": {
            "x": _number("cost", title, zero=False),
            "y": _number("quality", table.primary_metric, zero=False),
            "shape": {"field": "adapter", "type": "nominal", "title": "adapter"},
            "fill": {"field": "front", "type": "nominal", "title": "Pareto",
                     "scale": {"domain": ["front", "behind it"],
                               "range": [COLOURS["better"], "transparent"]}},
            "stroke": {"value": COLOURS["better"]}, "href": {"field": "href"},
        },
    }  # fmt: skip
    name = anchor("trade-off", table.dataset, cost)
    return Figure(name, f"Quality against {title}; filled: no row beats it.", _page(spec))


def heat_map(table: Table) -> Figure | None:
    """The difference for each quantization × adapter, a panel per model."""
    metric = table.primary_metric
    values = [
        {"model": r.model, "quantization": r.quantization, "adapter": r.adapter,
         "delta": r.deltas[metric].delta}
        for r in table.rows
        if metric in r.deltas
    ]  # fmt: skip
    spread = [{v[axis] for v in values} for axis in ("quantization", "adapter")]
    if any(len(names) < 2 for names in spread) or len(values) > MAX_ROWS:
        return None
    far = max(abs(row.deltas[metric].delta) for row in table.rows if metric in row.deltas) or 1.0
    axes: Spec = {
        "x": {"field": "adapter", "type": "nominal", "sort": None, "title": None},
        "y": {"field": "quantization", "type": "nominal", "sort": None, "title": None},
    }
    scale = {"domain": [-far, 0, far], "range": [COLOURS["worse"], "#f2f2f2", COLOURS["better"]]}
    spec = {
        "data": {"values": values},
        "facet": {"field": "model", "type": "nominal", "title": None},
        "columns": 2,
        "spec": {
            "width": {"step": 78}, "height": {"step": 30},
            "layer": [
                {"mark": "rect", "encoding": {**axes, "color": {
                    "field": "delta", "type": "quantitative", "scale": scale,
                    "title": f"Δ {metric}"}}},
                {"mark": {"type": "text", "color": "#1a1d21"}, "encoding": {**axes, "text": {
                    "field": "delta", "type": "quantitative", "format": "+.3f"}}},
            ],
        },
    }  # fmt: skip
    text = f"Δ {metric} by quantization and adapter."
    return Figure(anchor("heat", table.dataset), text, _page(spec))


CURVED = {"loss": "training loss", "mean_token_accuracy": "token accuracy", "entropy": "entropy"}
"""Field of the training log → its title."""


def training(board: Leaderboard, table: Table) -> Figure | None:
    """Training loss, token accuracy and entropy by step, a line per run."""
    values: list[Spec] = []
    runs: list[str] = []
    for row in (r for r in table.rows if r.status == "ok"):
        for cell in row.cells:
            log = [record for record in board.run.train_log(cell) if "loss" in record]
            if log and len(runs) < CURVES:
                name = row.name if cell.seed is None else f"{row.name}, seed {cell.seed}"
                runs.append(name)
                values += _curves(name, log)
    if not values:
        return None
    there = [title for title in CURVED.values() if any(v["what"] == title for v in values)]
    spec = {
        "data": {"values": values},
        "facet": {"row": {"field": "what", "type": "nominal", "title": None, "sort": there}},
        "spec": {
            "width": 460, "height": 130, "mark": {"type": "line", "strokeWidth": 1.5},
            "encoding": {
                "x": _number("step", "logged step", zero=False),
                "y": _number("value", None, zero=False),
                "color": {"field": "run", "type": "nominal", "title": None, "sort": None,
                          "legend": {"labelLimit": 300}},
            },
        },
        "resolve": {"scale": {"y": "independent"}},
    }  # fmt: skip
    text = f"{', '.join(there).capitalize()} of the first {len(runs)} runs."
    return Figure(anchor("training", table.dataset), text, _page(spec))


def _curves(name: str, log: list[dict[str, Any]]) -> list[Spec]:
    """At most `CURVE_POINTS` steps of a run, for every field that it logged."""
    step = max(1, len(log) // CURVE_POINTS)
    return [
        {"run": name, "step": k + 1, "what": title, "value": log[k][key]}
        for k in range(0, len(log), step)
        for key, title in CURVED.items()
        if key in log[k]
    ]


def _margin(row: Row) -> float:
    return max((float(cell.evaluation("margin") or 0) for cell in row.cells), default=0.0)


def _number(field: str, title: str | None, *, zero: bool = True) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero}}


def _verdict_scale(values: dict[str, str]) -> Spec:
    scale = {"domain": list(values), "range": list(values.values())}
    return {"field": "verdict", "type": "nominal", "scale": scale, "title": "verdict"}


def _page(spec: Spec) -> Spec:
    axis = {"labelColor": INK, "titleColor": INK, "domainColor": GRID, "tickColor": GRID,
            "gridColor": GRID, "gridOpacity": 0.25}  # fmt: skip
    config = {
        "background": None, "view": {"stroke": None}, "axis": axis, "font": "sans-serif",
        "legend": {"labelColor": INK, "titleColor": INK},
        "header": {"labelColor": INK, "titleColor": INK},
    }  # fmt: skip
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": config, **spec}


def unique(names: Sequence[Figure]) -> list[Figure]:
    """The figures, each name once."""
    return list({figure.name: figure for figure in names}.values())
