"""Several runs of one suite in time: what changed from run to run, and what that did."""

from __future__ import annotations

from harness.analysis.history import History, Point, VariantHistory
from harness.analysis.leaderboard import Leaderboard
from harness.report.contrast_text import p_text
from harness.report.figure import (
    MAX_ROWS,
    Figure,
    Spec,
    anchor,
    by_name,
    can_draw,
    drawn_on,
    hover,
    quantity,
    tooltip,
)
from harness.report.section import MISSING, Section, number, show_delta

MOST_CHANGES = 8
"""Most changes of a run that are listed; the rest is counted."""


def runs_in_time(board: Leaderboard) -> Section:
    """A row per run, in the order given: its revision, and what differs from the one before."""
    found = board.history
    if found is None:
        return Section("Runs")
    rows = tuple(
        (str(k), run.name, run.revision or MISSING, _changes(run.changes, first=k == 1))
        for k, run in enumerate(found.runs, start=1)
    )
    note = "The runs are of one suite and in the order given; a run records no time. + marks a"
    note += " revision with uncommitted changes. What to do, the verdict and the differences by"
    note += " axis are of the last run; the tables hold all runs."
    return Section("Runs", (note,), ("", "run", "revision", "changed since the run before"), rows)


def _changes(changes: tuple[str, ...], *, first: bool) -> str:
    if first:
        return MISSING
    more = len(changes) - MOST_CHANGES
    texts = [*changes[:MOST_CHANGES], *([f"and {more} more"] if more > 0 else [])]
    return "; ".join(texts) or "nothing that is recorded"


def history(board: Leaderboard) -> Section:
    """A row per variant: its value in every run, and the last one against the one before."""
    found = board.history
    if found is None:
        return Section("History")
    last = len(found.runs) - 1
    family = found.families.get(last, 0)
    notes = (
        "Values are means over seeds, a dash where a run lacks the variant. Δ is the last run"
        " minus the one before that has the variant, paired by example;"
        f" p is corrected by Holm over the {family} comparisons of the last run.",
    )
    columns = ("data set", "variant", "metric", *(str(k + 1) for k in range(len(found.runs))),
               "last Δ [95%]", "p (Holm)", "verdict")  # fmt: skip
    rows = tuple(_row(found, each, last) for each in found.variants)
    return Section("History", notes, columns, rows, figures=tuple(_figures(found)))


def _row(found: History, each: VariantHistory, last: int) -> tuple[str, ...]:
    by_run = {point.run: point for point in each.points}
    values = tuple(
        number(by_run[k].value) if k in by_run else MISSING for k in range(len(found.runs))
    )
    return (each.dataset, each.variant, each.metric, *values, *_last(by_run.get(last)))


def _last(point: Point | None) -> tuple[str, ...]:
    if point is None:
        return (MISSING, MISSING, "not in the last run")
    if point.delta is None:
        why = f"not compared: {point.reason}" if point.reason else "first result"
        return (MISSING, MISSING, why)
    same = point.delta.won == point.delta.lost == 0
    verdict = "unchanged" if same and point.delta.delta == 0 else point.delta.verdict
    return (show_delta(point.delta), p_text(point.delta), verdict)


def _figures(found: History) -> list[Figure]:
    """A chart per data set: the runs from left to right, a line per variant."""
    if not can_draw():
        return []
    return [
        _figure(found, name, [each for each in found.variants if each.dataset == name])
        for name in dict.fromkeys(each.dataset for each in found.variants)
    ]


def _figure(found: History, dataset: str, members: list[VariantHistory]) -> Figure:
    members = members[:MAX_ROWS]
    metric = members[0].metric
    points = [_drawn(found, each, point) for each in members for point in each.points]
    labels = [_label(found, k) for k in range(len(found.runs))]
    axis = {"labelAngle": -30, "labelLimit": 200}
    x: Spec = {"field": "run", "type": "ordinal", "sort": labels, "title": None, "axis": axis,
               "scale": {"domain": labels}}  # fmt: skip
    y = quantity("value", metric, zero=False)
    shared = {"x": x, **by_name("variant", [each.variant for each in members])}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 0.6},
         "encoding": {**shared, "y": quantity("low", metric, zero=False), "y2": {"field": "high"}}},
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {**shared, "y": y}},
        {"mark": hover({"type": "point", "filled": True, "size": 45}),
         "encoding": {**shared, "y": y, **tooltip()}},
    ]  # fmt: skip
    spec = {"data": {"values": points}, "layer": layers, "width": 460, "height": 240}
    text = f"{metric} on {dataset} in each run. A bar is the 95% interval over examples, or with"
    text += " several seeds their range."
    return Figure(anchor("history", dataset), text, drawn_on(spec))


def _label(found: History, place: int) -> str:
    run = found.runs[place]
    return f"{place + 1} {run.revision}".strip()


def _drawn(found: History, each: VariantHistory, point: Point) -> Spec:
    change = f", Δ {show_delta(point.delta)}, {point.delta.verdict}" if point.delta else ""
    run = found.runs[point.run]
    return {
        "run": _label(found, point.run), "variant": each.variant, "value": point.value,
        "low": point.value if point.low is None else point.low,
        "high": point.value if point.high is None else point.high,
        "tooltip": f"{each.variant}, {run.name}: {number(point.value)}{change}",
    }  # fmt: skip
