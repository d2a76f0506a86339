"""Two variants on the same examples: comparable or not, the difference, its interval, a verdict.

A side is one variant's records by training seed. Seeds of the same number stand together; several
are averaged within an example for the difference and enter the interval as a crossed factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import ne
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.seeds import covered, seed_pairs
from harness.metrics.facts import is_higher_better
from harness.statistics import (
    crossed_difference,
    detectable_mean_gap,
    holm,
    macro_f1_crossed,
    macro_f1_difference,
    paired_difference,
    repeating,
    sign_flip_units,
    verdict,
)

Floats = NDArray[np.float64]
Record = dict[str, Any]
Records = dict[str, Record]
"""Example id → record."""
Seeds = Mapping[int | None, Records]
"""Training seed → records; None is the seed of what nothing trained, or of none that is known."""
ALPHA = 0.05
_NO_SEEDS: tuple[float, ...] = ()
TRAINING_NOISE_UNKNOWN = "one seed: training noise unknown"


@dataclass(frozen=True)
class Delta:
    """Fine-tuned minus baseline (or second minus first) in one metric, on the same examples."""

    metric: str
    delta: float
    low: float
    """Lower end of the interval, 95% unless another confidence was asked for."""
    high: float
    verdict: str
    """`better`, `worse`, `equivalent` or `undecided`, by interval, test, margin and noise floor."""
    n: int
    won: int
    lost: int
    p_value: float | None = None
    test: str = ""
    """The test of the p-value, as `harness.statistics` names it."""
    detectable: float | None = None
    """The smallest difference found with 80% power, groups and seeds counted as in the interval."""
    covers: str = ""
    """What the interval covers: `examples`, or `examples and N seeds`, and how the seeds pair."""
    p_adjusted: float | None = None
    """Holm's, over the family that the table declares."""
    effect_size: float | None = None
    """Cohen's d_z over examples, seeds averaged."""
    correlation: float | None = None
    """Pearson's r of the two sides' scores over examples."""
    noise_floor: float = 0.0
    """How far the baseline moves when nothing changes; a smaller difference is undecided."""
    units: int = 0
    """Independent examples: groups count as one each."""
    per_seed: tuple[float, ...] = ()
    """The difference of each training seed, where there are several."""


@dataclass(frozen=True)
class Criteria:
    """What a difference is judged by."""

    margin: float = 0.0
    """The smallest difference that matters."""
    noise: Mapping[str, float] | None = None
    """Metric → noise floor."""
    confidence: float = 0.95

    @property
    def alpha(self) -> float:
        """The level of the test that belongs to the interval."""
        return 1 - self.confidence

    @property
    def fewest(self) -> int:
        """With fewer independent examples everything is undecided, even if all of them agree."""
        return sign_flip_units(self.alpha)

    def floor(self, metric: str) -> float:
        """The noise floor of ``metric``; 0 where none was measured."""
        return float((self.noise or {}).get(metric, 0.0))


def differences(
    before: Seeds,
    after: Seeds,
    *,
    criteria: Criteria | None = None,
    labels: Sequence[str] = (),
) -> dict[str, Delta]:
    """Metric → difference, for every metric that both sides scored on two or more examples."""
    first, criteria = next(iter(before.values())), criteria or Criteria()
    found: dict[str, Delta] = {}
    for metric in sorted({m for record in first.values() for m in record["scores"]}):
        delta = difference(metric, before, after, criteria=criteria)
        if delta:
            found[metric] = delta
    if labels:
        delta = f1_difference(before, after, labels, criteria=criteria)
        if delta:
            found["f1_macro"] = delta
    return found


def difference(
    metric: str,
    before: Seeds,
    after: Seeds,
    *,
    criteria: Criteria | None = None,
) -> Delta | None:
    """The paired difference in a mean of per-example scores; None below two shared examples."""
    criteria = criteria or Criteria()
    pairs = seed_pairs(before, after)
    shared = _scored(metric, pairs)
    if len(shared) < 2:
        return None
    base, tuned = (_scores(metric, shared, sides) for sides in zip(*pairs, strict=True))
    clusters = [pairs[0][0][i].get("group") or i for i in shared]
    paired = paired_difference(
        base.mean(axis=1), tuned.mean(axis=1), clusters=clusters, confidence=criteria.confidence
    )
    low, high, p, test = paired.low, paired.high, paired.p_value, paired.test
    covers, per_seed = "examples", _NO_SEEDS
    gaps = tuned - base
    over_examples = crossed_difference(gaps.mean(axis=1, keepdims=True), clusters=clusters)
    error = over_examples.standard_error
    if len(pairs) > 1:
        crossed = crossed_difference(gaps, clusters=clusters, confidence=criteria.confidence)
        error = max(error, crossed.standard_error)
        low, high = min(low, crossed.low), max(high, crossed.high)
        p, test = max(p, crossed.p_value), f"{test} and crossed seeds, the larger"
        covers, per_seed = covered(before, after, len(pairs)), crossed.per_seed
    found = Delta(
        metric, paired.delta, low, high, "undecided", paired.n, paired.won, paired.lost, p, test,
        detectable_mean_gap(1, error) if error > 1e-15 else None, covers,
        effect_size=paired.effect_size, correlation=paired.correlation,
        noise_floor=criteria.floor(metric), units=over_examples.examples, per_seed=per_seed,
    )  # fmt: skip
    return replace(found, verdict=_verdict(found, criteria))


def _verdict(delta: Delta, criteria: Criteria) -> str:
    """What the interval says, where there are examples enough and the test agrees.

    A bootstrap of a few equal differences has no width: on its own it would be certain.
    """
    if delta.units < criteria.fewest:
        return "undecided"
    said = verdict(
        delta.low, delta.high, criteria.margin, higher_is_better=is_higher_better(delta.metric),
        noise_floor=delta.noise_floor, delta=delta.delta,
    )  # fmt: skip
    shown = delta.p_value is not None and delta.p_value <= criteria.alpha
    return said if said == "equivalent" or shown else "undecided"


def _scored(metric: str, pairs: Sequence[tuple[Records, Records]]) -> list[str]:
    """The examples that every side scored, in the first side's order."""
    sides = {id(side): side for pair in pairs for side in pair}.values()
    shared = list(pairs[0][0])
    for side in sides:
        scored = {i for i, record in side.items() if metric in record.get("scores", {})}
        shared = [i for i in shared if i in scored]
    return shared


def _scores(metric: str, shared: Sequence[str], sides: Sequence[Records]) -> Floats:
    """Scores of examples × sides."""
    return np.array([[side[i]["scores"][metric] for i in shared] for side in sides], float).T


def f1_difference(
    before: Seeds,
    after: Seeds,
    labels: Sequence[str],
    *,
    criteria: Criteria | None = None,
) -> Delta | None:
    """The difference in macro-F1, recomputed as a whole inside each resample.

    Several seeds are crossed with the examples by jackknife pseudo-values.
    """
    criteria = criteria or Criteria()
    pairs = seed_pairs(before, after)
    shared = _scored("accuracy", pairs)
    if len(shared) < 2:
        return None
    base = pairs[0][0]
    gold = [base[i]["label"] for i in shared]
    groups = repeating([base[i].get("group") or i for i in shared])
    guesses = [
        ([b[i]["predicted_label"] for i in shared], [a[i]["predicted_label"] for i in shared])
        for b, a in pairs
    ]
    found = macro_f1_difference(
        gold, *guesses[0], labels, clusters=groups, confidence=criteria.confidence
    )
    delta, low, high, p, test = found.delta, found.low, found.high, found.p_value, found.test
    covers, per_seed = "examples", _NO_SEEDS
    if len(pairs) > 1:
        crossed = macro_f1_crossed(
            gold, [b for b, _ in guesses], [a for _, a in guesses], labels,
            clusters=groups, confidence=criteria.confidence,
        )  # fmt: skip
        delta, low, high, p = crossed.delta, crossed.low, crossed.high, crossed.p_value
        test = "crossed seeds, jackknife"
        covers, per_seed = covered(before, after, len(pairs)), crossed.per_seed
    hits = [_scores("accuracy", shared, sides).mean(axis=1) for sides in zip(*pairs, strict=True)]
    won, lost = int(np.sum(hits[0] < hits[1])), int(np.sum(hits[0] > hits[1]))
    judged = Delta(
        "f1_macro", delta, low, high, "undecided", found.n, won, lost, p, test, None, covers,
        noise_floor=criteria.floor("f1_macro"), units=len(set(groups or shared)), per_seed=per_seed,
    )  # fmt: skip
    return replace(judged, verdict=_verdict(judged, criteria))


def adjusted(family: Sequence[Mapping[str, Delta]], metric: str) -> list[dict[str, Delta]]:
    """The differences of each of ``family``, those in ``metric`` adjusted by Holm over all of them.

    Whoever has no difference in ``metric`` keeps the others as they are. A difference without a
    p-value stays out of the family and is never better or worse.
    """
    found = [dict(deltas) for deltas in family]
    mine = [k for k, deltas in enumerate(found) if metric in deltas]
    p_values = {k: p for k in mine if (p := found[k][metric].p_value) is not None}
    of_family = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    for k in mine:
        found[k][metric] = with_adjusted(found[k][metric], of_family.get(k))
    return found


def with_adjusted(delta: Delta, p_adjusted: float | None) -> Delta:
    """``delta`` under a family's p-value: better or worse only where that is at most 0.05."""
    shown = p_adjusted is not None and p_adjusted <= ALPHA
    clear = delta.verdict not in ("better", "worse") or shown
    return replace(delta, p_adjusted=p_adjusted, verdict=delta.verdict if clear else "undecided")


def incomparable(first: Records, second: Records) -> str | None:
    """Why two sides cannot be compared example by example; None if they can.

    Examples are paired by their id; what one side alone has is left out, and `left_out` counts it.
    The prompts that the models saw must be equal too, unless the sides answer in different ways
    (a trained head reads the bare text, a baseline is asked a question).
    """
    if not first or not second:
        return "one side has no predictions"
    shared = [i for i in first if i in second]
    if not shared:
        return f"no example is on both sides: {len(first)} and {len(second)} others"
    checks = {"reference": "references differ", "example_prompt": "questions differ"}
    checks["data_hash"] = "examples hold other data"
    if _answered_by(first) == _answered_by(second):
        checks["prompt_hash"] = "rendered prompts differ"
    for key, text in checks.items():
        ours = [first[i].get(key) for i in shared]
        theirs = [second[i].get(key) for i in shared]
        if ours != theirs:
            return f"{sum(map(ne, ours, theirs))} {text}"
    return None


def left_out(first: Records, second: Records) -> str | None:
    """How many examples were paired where a side has others, too; None where all were."""
    if first.keys() == second.keys():
        return None
    shared = len(first.keys() & second.keys())
    alone = f"{len(first) - shared} only in the first, {len(second) - shared} only in the second"
    return f"paired {shared} examples by id; left out: {alone}"


def _answered_by(side: Records) -> Any:
    return next(iter(side.values())).get("answered_by")
