"""Two variants on the same examples: comparable or not, the difference, its interval, a verdict.

A side is one variant's records, one list per training seed; several seeds are averaged within an
example for the difference and enter the interval as a crossed factor.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.metrics.facts import fact
from harness.statistics import (
    crossed_difference,
    detectable_mean_gap,
    macro_f1_difference,
    paired_difference,
    repeating,
    verdict,
)

Record = dict[str, Any]
Records = dict[str, Record]
"""Example id → record."""
ALPHA = 0.05
TRAINING_NOISE_UNKNOWN = "one seed: training noise unknown"


@dataclass(frozen=True)
class Delta:
    """Fine-tuned minus baseline (or second minus first) in one metric, on the same examples."""

    metric: str
    delta: float
    low: float
    """Lower end of the 95% interval."""
    high: float
    verdict: str
    """`better`, `worse`, `equivalent` or `undecided`, by the interval and the margin."""
    n: int
    won: int
    lost: int
    p_value: float | None = None
    test: str = ""
    """The test of the p-value, as `harness.statistics` names it."""
    detectable: float | None = None
    """The smallest difference that would be found with 80% power at this n and spread."""
    covers: str = ""
    """What the interval covers: `examples`, or `examples and N seeds`."""
    p_adjusted: float | None = None
    """Holm's, over the family that the table declares."""


def differences(
    before: Sequence[Records],
    after: Sequence[Records],
    *,
    margin: float = 0.0,
    labels: Sequence[str] = (),
) -> dict[str, Delta]:
    """Metric → difference, for every metric that both sides scored on two or more examples."""
    first = before[0]
    found: dict[str, Delta] = {}
    for metric in sorted({m for record in first.values() for m in record["scores"]}):
        delta = difference(metric, before, after, margin=margin)
        if delta:
            found[metric] = delta
    if labels:
        delta = f1_difference(before, after, labels, margin=margin)
        if delta:
            found["f1_macro"] = delta
    return found


def difference(
    metric: str, before: Sequence[Records], after: Sequence[Records], *, margin: float = 0.0
) -> Delta | None:
    """The paired difference in a mean of per-example scores; None below two shared examples."""
    shared = [
        i
        for i in before[0]
        if all(metric in side.get(i, {}).get("scores", {}) for side in (*before, *after))
    ]
    if len(shared) < 2:
        return None
    base = [_mean(before, i, metric) for i in shared]
    tuned = [_mean(after, i, metric) for i in shared]
    clusters = [before[0][i].get("group") or i for i in shared]
    paired = paired_difference(base, tuned, clusters=clusters)
    low, high, p, test = paired.low, paired.high, paired.p_value, paired.test
    covers = "examples"
    if len(after) > 1:
        table = [
            [side[i]["scores"][metric] - b for side in after]
            for i, b in zip(shared, base, strict=True)
        ]
        crossed = crossed_difference(table)
        low, high = min(low, crossed.low), max(high, crossed.high)
        p, test = max(p, crossed.p_value), f"{test} and crossed seeds, the larger"
        covers = f"examples and {len(after)} seeds"
    spread = statistics.stdev(t - b for t, b in zip(tuned, base, strict=True))
    up = fact(metric).higher_is_better is not False
    return Delta(
        metric, paired.delta, low, high,
        verdict(low, high, margin, higher_is_better=up, delta=paired.delta),
        paired.n, paired.won, paired.lost, p, test,
        detectable_mean_gap(len(shared), spread) if spread else None, covers,
    )  # fmt: skip


def _mean(sides: Sequence[Records], example: str, metric: str) -> float:
    return statistics.fmean(side[example]["scores"][metric] for side in sides)


def f1_difference(
    before: Sequence[Records],
    after: Sequence[Records],
    labels: Sequence[str],
    *,
    margin: float = 0.0,
) -> Delta | None:
    """The difference in macro-F1, recomputed as a whole inside each resample.

    With several seeds the fine-tuned predictions of the first are taken: macro-F1 of averaged
    predictions does not exist.
    """
    base, tuned = before[0], after[0]
    shared = [i for i in base if i in tuned]
    if len(shared) < 2:
        return None
    gold = [base[i]["label"] for i in shared]
    groups = [base[i].get("group") or i for i in shared]
    found = macro_f1_difference(
        gold,
        [base[i]["predicted_label"] for i in shared],
        [tuned[i]["predicted_label"] for i in shared],
        labels,
        clusters=repeating(groups),
    )
    hits = [(base[i]["scores"]["accuracy"], tuned[i]["scores"]["accuracy"]) for i in shared]
    won, lost = sum(b < t for b, t in hits), sum(b > t for b, t in hits)
    return Delta(
        "f1_macro", found.delta, found.low, found.high,
        verdict(found.low, found.high, margin, delta=found.delta),
        found.n, won, lost, found.p_value, found.test, None,
        "examples" if len(after) == 1 else "examples, of the first seed",
    )  # fmt: skip


def with_adjusted(delta: Delta, p_adjusted: float) -> Delta:
    """``delta`` under a family's p-value: better or worse only where that is at most 0.05."""
    clear = delta.verdict not in ("better", "worse") or p_adjusted <= ALPHA
    return replace(delta, p_adjusted=p_adjusted, verdict=delta.verdict if clear else "undecided")


def incomparable(first: Records, second: Records) -> str | None:
    """Why two sides cannot be compared example by example; None if they can."""
    if not first or not second:
        return "one side has no predictions"
    if set(first) != set(second):
        only = len(set(first) ^ set(second))
        return f"{only} examples stand on one side only"
    changed = sum(first[i]["reference"] != second[i]["reference"] for i in first)
    if changed:
        return f"{changed} references differ"
    prompts = sum(first[i]["example_prompt"] != second[i]["example_prompt"] for i in first)
    return f"{prompts} questions differ" if prompts else None
