"""Several runs of one suite in time: what changed from run to run, and what that did."""

from __future__ import annotations

import math

from harness.analysis.history import History, Point, VariantHistory
from harness.analysis.leaderboard import Leaderboard
from harness.counting import counted
from harness.report.contrast_text import p_text
from harness.report.figure import (
    SHAPES,
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
MOST_LINES = 8
"""Most variants in a chart of a history: more cannot be told apart."""
LONGEST = 24
"""Characters of a run's name below a chart; its end is what differs between folders."""
WITHOUT = "not shown to differ"
"""Said of a point that no test sets apart from the run before, or that has none before it."""


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
        f" p is corrected by Holm over the {counted(family, 'comparison')} of the last run.",
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
    metric = members[0].metric
    kept, which = _worth_drawing(members, len(found.runs) - 1)
    names = [each.variant for each in kept]
    drawn = [point for each in kept for point in _drawn_points(found, each)]
    y = quantity("value", metric, zero=False)
    # a variant's own place beside the run's, or intervals and points would lie on each other
    place = {"x": _runs_axis(found), "xOffset": {"field": "variant", "sort": names}}
    colour = by_name("variant", names)
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 0.8, "opacity": 0.6},
         "encoding": {**place, "color": colour["color"], "y": quantity("low", metric, zero=False),
                      "y2": {"field": "high"}}},
        {"mark": {"type": "line", "strokeWidth": 1.5},
         "encoding": {**place, **colour, "y": y, "detail": {"field": "segment"}}},
        {"mark": hover({"type": "point", "filled": True, "size": 60}),
         "encoding": {**place, "color": colour["color"], "y": y, "shape": _by_step(), **tooltip()}},
    ]  # fmt: skip
    spec = {"data": {"values": drawn}, "layer": layers, "width": 460, "height": 240}
    text = f"{metric} on {dataset} in each run"
    if len(kept) < len(members):
        text += f": of {counted(len(members), 'variant')} {which}"
    text += (
        ". A line joins runs whose scores are of the same examples and settings; where it breaks,"
        " do not compare the two sides. Bars: 95% over examples, or the range of the seeds."
        " Triangles: beyond chance against the run before, though bars may overlap."
    )
    return Figure(anchor("history", dataset), text, drawn_on(spec))


def _worth_drawing(members: list[VariantHistory], last: int) -> tuple[list[VariantHistory], str]:
    """The variants of the last run with the best values there, in the order of the suite; in words.

    Nobody can ship what the last run lacks, and more lines cannot be told apart.
    """
    values = {id(e): p.value for e in members for p in e.points if p.run == last}
    there = [each for each in members if id(each) in values]
    higher = members[0].higher_is_better
    if not there or higher is None:  # no value is better than another
        kept = (there or members)[:MOST_LINES]
        return kept, f"the first {len(kept)} of the {'last run' if there else 'suite'}"
    best = sorted(there, key=lambda each: values[id(each)], reverse=higher)[:MOST_LINES]
    kept = [each for each in there if each in best]
    return kept, f"the {len(kept)} with the best last value"


def _runs_axis(found: History) -> Spec:
    labels = [_label(found, k) for k in range(len(found.runs))]
    return {"field": "run", "type": "ordinal", "sort": labels, "title": None,
            "axis": {"labelAngle": -30, "labelLimit": 200},
            "scale": {"domain": labels}}  # fmt: skip


def _label(found: History, place: int) -> str:
    run = found.runs[place]
    name = run.name if len(run.name) <= LONGEST else f"…{run.name[1 - LONGEST :]}"
    return f"{place + 1} {name} {run.revision}".strip()


def _by_step() -> Spec:
    """The encoding of what a point is against the run before: only `better` and `worse` stand out.

    A legend of all shapes would list verdicts that say nothing of a history.
    """
    shapes = {WITHOUT: "circle", "better": SHAPES["better"], "worse": SHAPES["worse"]}
    return {"field": "step", "type": "nominal", "title": "against the run before",
            "scale": {"domain": list(shapes), "range": list(shapes.values())}}  # fmt: skip


def _drawn_points(found: History, each: VariantHistory) -> list[Spec]:
    """The points of one variant; each segment of its line gets a name of its own."""
    drawn, segment = [], 0
    for before, point in zip([None, *each.points], each.points, strict=False):
        segment += before is not None and not _joined(before, point)
        drawn.append({**_drawn(found, each, point), "segment": f"{each.variant} {segment}"})
    return drawn


def _joined(before: Point, after: Point) -> bool:
    """Whether a line may lead from one value to the next: their difference is the one compared.

    It is not if the two could not be compared, or on a part of their examples only.
    """
    if after.delta is None:
        return False
    return math.isclose(after.delta.delta, after.value - before.value, abs_tol=1e-9)


def _drawn(found: History, each: VariantHistory, point: Point) -> Spec:
    change = f", not compared with the run before: {point.reason}" if point.reason else ""
    if point.delta:
        before = found.runs[point.against].name if point.against is not None else "the run before"
        change = f", Δ to {before} {show_delta(point.delta)}, {point.delta.verdict}"
    verdict = point.delta.verdict if point.delta else WITHOUT
    run = found.runs[point.run]
    return {
        "run": _label(found, point.run), "variant": each.variant, "value": point.value,
        "low": point.value if point.low is None else point.low,
        "high": point.value if point.high is None else point.high,
        "step": verdict if verdict in ("better", "worse") else WITHOUT,
        "tooltip": f"{each.variant}, {run.name}: {number(point.value)}{change}",
    }  # fmt: skip
