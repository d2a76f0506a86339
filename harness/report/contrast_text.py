"""The contrasts of an axis in words, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.analysis.contrasts import AxisDifferences, Contrast
from harness.analysis.cost_ratios import COSTS, CostRatio
from harness.analysis.difference import TRAINING_NOISE_UNKNOWN, Delta
from harness.analysis.wording import about
from harness.counting import counted
from harness.report.section import MISSING, shortened, show_delta
from harness.suite.schema import BASE

COLUMNS = (
    "difference", "data set", "metric", "Δ [95%]", "p (Holm)", "verdict", "variants", "seeds",
    *COSTS, "left out",
)  # fmt: skip


def ratio_text(ratio: CostRatio | None) -> str:
    """``×1.19 [1.13, 1.27], 6 variants``: the ratio, its 95% interval, and what that is over."""
    if ratio is None:
        return MISSING
    if ratio.low is None or ratio.high is None:
        return f"×{ratio.ratio:.2f}, one pair"
    return f"×{ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}], {ratio.n} {ratio.unit}"


def p_text(delta: Delta) -> str:
    """The adjusted p-value."""
    return MISSING if delta.p_adjusted is None else f"{delta.p_adjusted:.2g}"


def variants_text(contrast: Contrast) -> str:
    """How many pairs of variants the mean is over, and the least and the largest difference."""
    found = contrast.per_variant
    if len(found) < 2:
        return contrast.variants[0] if contrast.variants else MISSING
    return f"{len(found)}: {min(found):+.3f} to {max(found):+.3f}"


def left_out_text(contrast: Contrast) -> str:
    """``4 cells: the partner has no result``; empty if nothing was left out."""
    counts = contrast.left_out.items()
    return "; ".join(f"{counted(n, 'cell')}: {reason}" for reason, n in counts)


def costs_text(costs: Mapping[str, CostRatio]) -> str:
    """``latency ×2.03 [1.57, 2.63], 6 variants; memory …``; empty without any."""
    return "; ".join(f"{name} {ratio_text(ratio)}" for name, ratio in costs.items())


def needs_text(contrast: Contrast) -> str:
    """What would decide an undecided contrast; empty if that is not known."""
    if contrast.delta is None or contrast.more_examples is None:
        return ""
    count = len(contrast.variants)
    # a card may name another number for one of them: this is that of their mean
    what = f" the mean of {count}" if count > 1 else ""
    return f"{about(contrast.more_examples)} more would decide{what}"


def axis_sentences(found: AxisDifferences, *, with_base: bool = True) -> list[str]:
    """A sentence for each two values: where they differ, where that is undecided, and the costs.

    Args:
        found: The contrasts of an axis.
        with_base: Whether to include contrasts with the untouched model, which the leaderboard
            has for each variant.
    """
    sentences = []
    for name in dict.fromkeys(each.name for each in found.contrasts):
        members = [each for each in found.contrasts if each.name == name]
        if BASE in (members[0].first, members[0].second) and not with_base:
            continue
        parts = [*_decided(members), *_undecided(members)]
        costs = costs_text(found.costs.get(name, {}))
        if costs:
            parts.append(costs)
        if _is_of_one_seed(members):
            parts.append(TRAINING_NOISE_UNKNOWN)
        sentences.append(f"{name}: {'; '.join(parts)}.")
    return sentences


def _is_of_one_seed(members: Sequence[Contrast]) -> bool:
    """Whether something was trained, and once only."""
    compared = [each for each in members if each.delta]
    untrained = all(
        each.axis != "adapter" and all(name.endswith(BASE) for name in each.variants)
        for each in compared
    )
    return not untrained and max(each.seeds for each in compared) < 2


def _decided(members: Sequence[Contrast]) -> list[str]:
    return [
        f"{each.delta.verdict} on {each.dataset}, {each.metric} {show_delta(each.delta)}"
        for each in members
        if each.delta and each.delta.verdict != "undecided"
    ]


def _undecided(members: Sequence[Contrast]) -> list[str]:
    open_ = [each for each in members if each.delta and each.delta.verdict == "undecided"]
    unknown = [each.dataset for each in members if each.delta is None]
    texts = [f"{each.dataset} {show_delta(each.delta)}" for each in open_ if each.delta]
    parts = [f"undecided on {', '.join(texts)}"] if texts else []
    return parts + ([f"not compared on {', '.join(unknown)}"] if unknown else [])


class Rows(NamedTuple):
    """A table in texts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def along_table(along: Sequence[AxisDifferences]) -> Rows:
    """A row for each contrast and data set, then those over all data sets."""
    return Rows(COLUMNS, tuple(row for each in along for row in _rows(each)))


def _rows(found: AxisDifferences) -> list[tuple[str, ...]]:
    rows = []
    for name in dict.fromkeys(each.name for each in found.contrasts):
        members = [each for each in found.contrasts if each.name == name]
        rows += [_row(each) for each in members]
        rows += _together(found, name)
    return rows


def _row(each: Contrast) -> tuple[str, ...]:
    delta = each.delta
    judged = (
        (show_delta(delta), p_text(delta), delta.verdict)
        if delta
        else (MISSING, MISSING, "not compared")
    )
    seeds = str(each.seeds) if delta else MISSING
    costs = (ratio_text(each.costs.get(cost)) for cost in COSTS)
    left = left_out_text(each) or MISSING
    return (
        each.name, each.dataset, each.metric, *judged, variants_text(each), seeds, *costs, left,
    )  # fmt: skip


def _together(found: AxisDifferences, name: str) -> list[tuple[str, ...]]:
    """The rows over all data sets: quality where they share a metric, and the costs."""
    costs = found.costs.get(name, {})
    ratios = tuple(ratio_text(costs.get(cost)) for cost in COSTS)
    rows = []
    for each in found.together:
        if each.name == name:
            what = counted(len(each.datasets), "data set")
            for effect, delta in (("fixed", each.fixed), ("random", each.random)):
                if delta is not None:
                    judged = (show_delta(delta), p_text(delta), delta.verdict)
                    where = f"{what}, {effect} effect"
                    blank = (MISSING, MISSING)
                    rows.append((name, where, each.metric, *judged, *blank, *ratios, MISSING))
    several = len({each.dataset for each in found.contrasts}) > 1
    if costs and several and not rows:
        rows.append((name, "all data sets", *[MISSING] * 6, *ratios, MISSING))
    return rows


def along_lines(found: AxisDifferences) -> list[str]:
    """The contrasts in lines of at most 80 columns."""
    lines = []
    for name in dict.fromkeys(each.name for each in found.contrasts):
        members = [each for each in found.contrasts if each.name == name]
        if not any(each.delta or each.costs for each in members):
            lines += [name, "  no two variants differ in this alone"]
            continue
        lines += [name, *(line for each in members for line in _lines(each))]
        for each in found.together:
            if each.name == name:
                lines.append(_line(counted(len(each.datasets), "data set"), each.fixed))
                if each.random:
                    lines.append(_line("others like them", each.random))
        costs = found.costs.get(name, {})
        lines += [f"  {cost:<15} {ratio_text(ratio)}" for cost, ratio in costs.items()]
    lines += [f"{value}: no result" for value in found.absent]
    if found.family > 1:
        lines.append(f"p: corrected by Holm over {counted(found.family, 'contrast')}")
    return lines


def _line(where: str, delta: Delta) -> str:
    metric = shortened(delta.metric, 16)
    numbers = f"{show_delta(delta):<23} p {p_text(delta):<7}"
    return f"  {shortened(where, 15):<15} {metric:<16} {numbers} {delta.verdict}"


def _lines(each: Contrast) -> list[str]:
    if each.delta is None:
        why = left_out_text(each) or "nothing in common"
        return [f"  {shortened(each.dataset, 15):<15} not compared: {why}"]
    seeds = counted(max(each.seeds, 1), "seed")
    count = len(each.variants)
    many = (
        f"{counted(count, 'variant')}, {min(each.per_variant):+.3f} to {max(each.per_variant):+.3f}"
    )
    what = f"{many if count > 1 else each.variants[0]}; {seeds}, n {each.delta.n}"
    more = (needs_text(each), left_out_text(each))
    return [_line(each.dataset, each.delta), f"    {'; '.join(filter(None, (what, *more)))}"]
