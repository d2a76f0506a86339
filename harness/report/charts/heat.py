"""Heat maps of the difference to the baseline over any two axes that vary.

A square is the mean over the rows that share its two values. If cells failed or were skipped, the
squares average different numbers of rows, and each shows its number.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.counting import counted
from harness.report.figure import (
    COLOURS,
    Figure,
    Spec,
    anchor,
    drawn_on,
    hover,
    names,
    tooltip,
)

AXES = ("model", "quantization", "adapter")
MAX_NAMES = 14
"""Most values of an axis in a map."""


def heat_maps(table: Table) -> list[Figure]:
    """A map of one data set for every pair of axes that both vary; Markdown shows the last."""
    rows = table.compared()
    pairs = [pair for pair in combinations(AXES, 2) if all(_fits(rows, axis) for axis in pair)]
    made = []
    for down, across in pairs:
        squares = _squares([(table, row) for row in rows], down, across)
        choice = f"{down} × {across}"
        text = f"Δ {table.primary_metric} by {down} and {across}{_means(squares)}."
        name = anchor("heat", table.dataset, down, across)
        hidden = (down, across) != pairs[-1]
        spec = _spec(squares, f"Δ {table.primary_metric}")
        made.append(Figure(name, text, spec, choice, page_only=hidden))
    return made


def heat_maps_across(board: Leaderboard) -> list[Figure]:
    """A map of each axis that varies against the data sets; Markdown shows the adapters'."""
    tables = [table for table in board.tables if table.compared()]
    if not 2 <= len(tables) <= MAX_NAMES:
        return []
    made = []
    for axis in AXES:
        pairs = [(table, row) for table in tables for row in table.compared()]
        if _fits([row for _, row in pairs], axis):
            squares = _squares(pairs, axis, "dataset")
            text = f"Δ of each data set's primary metric by {axis}{_means(squares)}."
            text += " Colours are relative to the largest difference of the data set."
            spec = _spec(squares, "Δ, share of the largest")
            hidden = axis != "adapter"
            name = anchor("heat", "data-sets", axis)
            made.append(Figure(name, text, spec, f"{axis} × data set", page_only=hidden))
    return made


def _fits(rows: Sequence[Row], axis: str) -> bool:
    return 2 <= len({getattr(row, axis) for row in rows}) <= MAX_NAMES


def _squares(pairs: Sequence[tuple[Table, Row]], down: str, across: str) -> list[Spec]:
    groups: dict[tuple[str, str], list[float]] = {}
    metrics: dict[str, str] = {}
    for table, row in pairs:
        values = [table.dataset if a == "dataset" else getattr(row, a) for a in (down, across)]
        metrics[values[1]] = table.primary_metric
        delta = row.deltas[table.primary_metric].delta
        groups.setdefault((values[0], values[1]), []).append(delta)
    means = {place: statistics.fmean(found) for place, found in groups.items()}
    uneven = len({len(found) for found in groups.values()}) > 1
    far = {column: _farthest(means, column if across == "dataset" else None) for column in metrics}
    return [
        {
            "down": down_, "across": across_, "n": len(groups[down_, across_]),
            "share": mean / far[across_],
            "text": f"{mean:+.3f}" + (f" ({len(groups[down_, across_])})" if uneven else ""),
            "tooltip": f"{down_}, {across_}: Δ {metrics[across_]} {mean:+.3f}, mean of"
                    f" {len(groups[down_, across_])}",
        }
        for (down_, across_), mean in means.items()
    ]  # fmt: skip


def _farthest(means: dict[tuple[str, str], float], column: str | None) -> float:
    kept = [abs(mean) for (_, name), mean in means.items() if column in (None, name)]
    return max(kept) or 1.0


def _means(squares: Sequence[Spec]) -> str:
    counts = sorted({square["n"] for square in squares})
    if counts == [1]:
        return ""
    if len(counts) == 1:
        return f", each the mean of {counted(counts[0], 'row')}"
    return ", each the mean of the number of rows in brackets"


def _spec(squares: list[Spec], title: str) -> Spec:
    axes: Spec = {"x": names("across", longest=26), "y": names("down", longest=26)}
    axes["x"]["axis"] |= {"orient": "top", "labelAngle": -20}
    scale = {"domain": [-1, 0, 1], "range": [COLOURS["worse"], "#f2f2f2", COLOURS["better"]]}
    dark = "abs(datum.share) > 0.6"
    colour = {"field": "share", "type": "quantitative", "scale": scale, "title": title,
              "legend": None}  # fmt: skip
    ink = {"condition": {"test": dark, "value": "#ffffff"}, "value": "#1a1d21"}
    text = {"field": "text", "type": "nominal"}
    spec = {
        "data": {"values": squares}, "width": {"step": 92}, "height": {"step": 30},
        "layer": [
            {"mark": hover({"type": "rect"}), "encoding": {**axes, "color": colour, **tooltip()}},
            {"mark": {"type": "text", "aria": False},
             "encoding": {**axes, "text": text, "color": ink}},
        ],
    }  # fmt: skip
    return drawn_on(spec)
