"""How each question opens on a data set: one sentence and one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.contrasts import MAX_VALUES, Contrast
from harness.analysis.cost_ratios import CostRatio
from harness.analysis.decision import Decision
from harness.analysis.difference import Delta
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import LATENCY, memory_metrics
from harness.analysis.table import Row, Table
from harness.analysis.wording import brief, duration, joined, memory, signed, variant
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.report.contrast_text import costs_text, needs_text
from harness.report.drawn_rows import drawn_rows
from harness.report.page.scale import Tick, scale_of
from harness.report.page.summary import worse_sentence
from harness.suite.schema import BASE

PRINTED = 40
"""So many choices fit the second page of the printed summary, over all data sets."""


VERDICTS = {
    "better": "gained", "worse": "lost", "equivalent": "changed by no more than the margin",
    "undecided": "undecided", "no direction": "not judged",
}  # fmt: skip
"""Verdict → the word that follows a count of variants."""


@dataclass(frozen=True)
class Cost:
    """One cost of a choice, as a multiple."""

    text: str
    sure: bool
    """Whether its interval excludes 1."""


@dataclass(frozen=True)
class Bar:
    """One line of a chart: a value with its interval."""

    label: str
    text: str
    """The value with its interval in words; a tooltip and the column beside the drawing."""
    verdict: str
    place: float
    """In percent of the chart's width, like the interval's ends."""
    low: float
    high: float
    number: int | None = None
    """The variant's number, if the line is of one."""
    costs: tuple[Cost, ...] = ()
    """What a choice costs."""
    more: str = ""
    """The rest of the tooltip."""
    aside: bool = False
    """Whether the printed summary leaves it out."""


@dataclass(frozen=True)
class Share:
    """One line of a chart of shares: won, equal, lost, in percent."""

    label: str
    text: str
    won: float
    lost: float
    number: int


@dataclass(frozen=True)
class Chart:
    """Lines on one scale."""

    title: str
    bars: tuple[Bar, ...] = ()
    shares: tuple[Share, ...] = ()
    reference: float | None = None
    """Where no difference lies, in percent."""
    ticks: tuple[Tick, ...] = ()


@dataclass(frozen=True)
class Lead:
    """How a question opens."""

    sentence: str
    chart: Chart | None = None


Leads = dict[tuple[str, str], Lead]


def leads(
    board: Leaderboard, made: Sequence[Decision], numbers: Mapping[str, int]
) -> Mapping[tuple[str, str], Lead]:
    """Question and data set → sentence and chart."""
    found: Leads = {}
    # not of earlier runs of the suite: their variants would be counted as if one could choose them
    for table, decision in zip(board.deciding.tables, made, strict=True):
        of_table = {
            "choice": _choice(board, table),
            "real": _real(table, numbers), "cost": _cost(table, decision, numbers),
            "where": _where(decision), "answers": _answers(table, decision, numbers),
        }  # fmt: skip
        found |= {(name, table.dataset): lead for name, lead in of_table.items() if lead}
    return found


def _choice(board: Leaderboard, table: Table) -> Lead | None:
    """What each value of an axis changes against another, everything else equal."""
    contrasts = [
        each
        for along in board.along.values()
        for each in along.contrasts
        if each.dataset == table.dataset and each.delta
    ]
    # whether to train at all comes last: the next question answers it for each variant
    contrasts.sort(key=lambda each: BASE in (each.first, each.second))
    if not contrasts:
        return None
    found = [(each, each.delta) for each in contrasts if each.delta]
    sentence = f"{title_of(table.primary_metric)}, everything else equal: {_said_of(found)}"
    title = (
        f"{title_of(table.primary_metric)}: differences as named, the mean over the rest of the"
        " matrix, 95% interval; filled: beyond chance (Holm). Beside it costs as multiples; bold:"
        " the interval excludes 1."
    )
    if len(found) >= MAX_VALUES and all(BASE in (each.first, each.second) for each, _ in found):
        title += (
            f" Of more than {MAX_VALUES} values no two are compared: harness compare RUN --axis"
            " adapter --values A,B does it."
        )
    chart = differences_chart(title, [(each.name, delta, None) for each, delta in found])
    room = max(3, PRINTED // len(board.tables))
    bars = tuple(
        replace(
            bar,
            aside=k >= room or BASE in (each.first, each.second),
            costs=tuple(_multiple(name, ratio) for name, ratio in each.costs.items()),
            more="; ".join(filter(None, (costs_text(each.costs), needs_text(each)))),
        )
        for k, (bar, (each, _)) in enumerate(zip(chart.bars, found, strict=True))
    )  # fmt: skip
    return Lead(sentence, replace(chart, bars=bars))


def _said_of(found: Sequence[tuple[Contrast, Delta]]) -> str:
    """What is decided between the choices, then how many of them gained over the untouched model.

    The chart has both, so a sentence on the first alone would deny what the reader sees.
    """
    own = [(each, delta) for each, delta in found if BASE not in (each.first, each.second)]
    decided = [f"{each.name} is {delta.verdict} ({signed(delta.delta)})"
               for each, delta in own if delta.verdict != "undecided"]  # fmt: skip
    rest = "; the rest is undecided" if len(decided) < len(own) else ""
    texts = [f"{joined(decided)}{rest}."] if decided else []
    if own and not decided:
        texts.append("no choice is shown to differ from another.")
    counts = Counter(delta.verdict for each, delta in found if (each, delta) not in own)
    if counts:
        many = joined([f"{n} {verdict}" for verdict, n in counts.most_common()])
        texts.append(f"{'A' if texts else 'a'}gainst the untouched model: {many}.")
    return " ".join(texts)


def _multiple(name: str, found: CostRatio) -> Cost:
    sure = found.low is not None and found.high is not None and not found.low <= 1 <= found.high
    return Cost(f"{name.removesuffix(' time')} ×{found.ratio:.2f}", sure)


def _real(table: Table, numbers: Mapping[str, int]) -> Lead | None:
    rows, left_out = drawn_rows(table, table.compared())
    if not rows:
        return None
    metric = table.primary_metric
    counts = Counter(row.deltas[metric].verdict for row in table.compared())
    parts = [f"{counts[name]} {text}" for name, text in VERDICTS.items() if counts[name]]
    sentence = (
        f"Variants compared with their baselines in {title_of(metric)}: {len(table.compared())};"
        f" {joined(parts)}."
    )
    title = f"{title_of(metric)}: difference to the baseline, 95% interval.{left_out}"
    of_rows = [(row.name, row.deltas[metric], numbers[row.name]) for row in rows]
    return Lead(sentence, differences_chart(title, of_rows))


def differences_chart(title: str, lines: Sequence[tuple[str, Delta, int | None]]) -> Chart:
    """A chart of differences with their intervals, around zero."""
    ends = [end for _, d, _ in lines for end in (d.low, d.high, d.delta)]
    scale = scale_of([*ends, 0.0])
    bars = tuple(
        Bar(
            label, f"{signed(d.delta)} [{signed(d.low)}, {signed(d.high)}]; n = {d.n}", d.verdict,
            scale.place(d.delta), scale.place(d.low), scale.place(d.high), number,
        )
        for label, d, number in lines
    )  # fmt: skip
    return Chart(title, bars, (), scale.place(0.0), scale.ticks(lambda v: f"{v:+.3g}"))


Kind = tuple[str, Sequence[str], Callable[[float], str]]
"""A cost: its name, the metrics to read it from, and how it is written."""


def _cost(table: Table, decision: Decision, numbers: Mapping[str, int]) -> Lead | None:
    kinds: list[Kind] = [("memory", memory_metrics(table), memory)]
    if len(table.machines()) < 2:
        kinds.insert(0, ("time for one answer", (LATENCY,), duration))
    chosen = decision.row
    texts = [
        f"{brief(pair[1] / pair[0])}× the {what} ({show(pair[0])} → {show(pair[1])})"
        for what, names, show in kinds
        if (pair := _beside(chosen, names))
    ]
    for kind in kinds:
        beside = {row.name: pair for row in table.rows if (pair := _beside(row, kind[1]))}
        rows, left_out = drawn_rows(table, [row for row in table.rows if row.name in beside])
        if rows:
            sentence = f"What each variant takes beside its baseline, in {kind[0]}."
            if chosen and texts:
                sentence = f"Beside its baseline, {variant(chosen)} takes {joined(texts)}."
            chart = _ratios(kind, [(row, beside[row.name]) for row in rows], numbers)
            return Lead(sentence, replace(chart, title=f"{chart.title}.{left_out}"))
    return None


def _beside(row: Row | None, metrics: Sequence[str]) -> tuple[float, float] | None:
    """The baseline's value and the row's, of the first metric that both have."""
    if row is None or row.baseline is None or not row.deltas:
        return None
    for name in metrics:
        if row.is_borrowed(name):
            return None  # its baseline was not measured beside it
        before, after = row.baseline.value(name), row.mean(name)
        if before is not None and before.value and after is not None:
            return before.value, after
    return None


def _ratios(
    kind: Kind, lines: Sequence[tuple[Row, tuple[float, float]]], numbers: Mapping[str, int]
) -> Chart:
    what, _, show = kind
    ratios = [after / before for _, (before, after) in lines]
    scale = scale_of([*ratios, 1.0], logarithmic=True)
    bars = []
    for (row, (before, after)), ratio in zip(lines, ratios, strict=True):
        place = scale.place(ratio)
        text = f"{ratio:.2f}× ({show(before)} → {show(after)})"
        bars.append(Bar(row.name, text, "", place, place, place, numbers[row.name]))
    ticks = scale.ticks(lambda value: f"{value:.3g}×")
    title = f"{what}, as a multiple of the baseline's"
    return Chart(title, tuple(bars), (), scale.place(1.0), ticks)


def _where(decision: Decision) -> Lead | None:
    fell = decision.fallen
    if fell is None or decision.row is None:
        return None
    sentence = f"{variant(decision.row)}: {worse_sentence(decision)}"
    if not fell.by_category:
        return Lead(sentence)
    metric = title_of(next(iter(fell.by_category.values())).metric)
    lines = [(name, delta, None) for name, delta in fell.by_category.items()]
    title = f"{metric} by category: difference to the baseline; filled if beyond chance (Holm)"
    return Lead(sentence, differences_chart(title, lines))


def _answers(table: Table, decision: Decision, numbers: Mapping[str, int]) -> Lead | None:
    metric = table.primary_metric
    rows, left_out = drawn_rows(table, table.compared())
    if not rows:
        return None
    chosen = decision.row if decision.row in table.compared() else rows[0]
    assert chosen is not None
    delta = chosen.deltas[metric]
    sentence = (
        f"{variant(chosen)}: of {counted(delta.n, 'answer')} {delta.won} scored higher than the"
        f" baseline's, {delta.lost} lower and {delta.n - delta.won - delta.lost} the same."
    )
    shares = tuple(
        Share(row.name, _counts(d), 100 * d.won / d.n, 100 * d.lost / d.n, numbers[row.name])
        for row in rows
        for d in [row.deltas[metric]]
    )
    title = f"answers that scored higher, equal and lower.{left_out}"
    return Lead(sentence, Chart(title, (), shares))


def _counts(delta: Delta) -> str:
    equal = delta.n - delta.won - delta.lost
    return f"{delta.won} higher, {equal} equal, {delta.lost} lower of {delta.n}"
