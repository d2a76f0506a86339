"""Two variants on the same examples: comparable or not, the difference, its interval, a verdict.

A side is one variant's records by training seed. Seeds of the same number stand together; several
are averaged within an example for the difference and enter the interval as a crossed factor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import ne
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.seeds import covered, seed_pairs
from harness.metrics.record import Metric, PairedCorpus
from harness.metrics.registry import direction_of, find, registered
from harness.statistics import (
    crossed_difference,
    detectable_mean_gap,
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
_NO_SEEDS: tuple[float, ...] = ()
NO_DIRECTION = "no direction"
"""The verdict on a metric of which nobody says whether a rise is a gain."""
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
    """`better`, `worse`, `equivalent` or `undecided`, by interval, test, margin and noise floor;
    `no direction` for a metric that is neither good nor bad, or of which nobody says it."""
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
    higher_is_better: bool | None = None
    """Whether a gain is a rise; None: nobody says."""


@dataclass(frozen=True)
class Criteria:
    """What a difference is judged by."""

    margin: float = 0.0
    """The smallest difference that matters."""
    noise: Mapping[str, float] | None = None
    """Metric → noise floor."""
    confidence: float = 0.95
    directions: Mapping[str, bool | None] | None = None
    """Metric → direction, of metrics that are not registered, as results say."""

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
    also: Collection[str] = (),
) -> dict[str, Delta]:
    """Metric → difference, for every metric that both sides scored on two or more examples.

    Of corpus metrics, whose resamples cost most, those that a leaderboard shows unasked and those
    in ``also``: the primary one.
    """
    first, criteria = next(iter(before.values())), criteria or Criteria()
    found: dict[str, Delta] = {}
    for metric in sorted({m for record in first.values() for m in record["scores"]}):
        delta = difference(metric, before, after, criteria=criteria)
        if delta:
            found[metric] = delta
    for record in registered() if labels else ():
        wanted = record.name in also or "leaderboard" in record.shown
        if wanted and isinstance(record.corpus, PairedCorpus):
            delta = difference(record.name, before, after, criteria=criteria, labels=labels)
            found |= {record.name: delta} if delta else {}
    return found


def difference(
    metric: str,
    before: Seeds,
    after: Seeds,
    *,
    criteria: Criteria | None = None,
    labels: Sequence[str] = (),
) -> Delta | None:
    """The paired difference in ``metric``; None below two examples that every side scored.

    Args:
        metric: A metric with a score per example, or a corpus metric.
        before: One side's records by training seed.
        after: The other's.
        criteria: What the difference is judged by.
        labels: The declared labels of a classification task.
    """
    criteria = criteria or Criteria()
    record = find(metric)
    if record is None or not isinstance(record.corpus, PairedCorpus):
        return _mean_difference(metric, before, after, criteria)
    return _corpus_difference(record, before, after, labels, criteria) if labels else None


def _mean_difference(metric: str, before: Seeds, after: Seeds, criteria: Criteria) -> Delta | None:
    """The difference in a mean of per-example scores."""
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
    if min(base.min(), tuned.min()) >= 0 and max(base.max(), tuned.max()) <= 1:
        low, high = _within_shares(low, high)
    direction = direction_of(metric, criteria.directions)
    counts = (paired.won, paired.lost)  # more and less: of a loss or an error, less is won
    won, lost = counts[::-1] if direction is False else counts
    found = Delta(
        metric, paired.delta, low, high, "undecided", paired.n, won, lost, p, test,
        detectable_mean_gap(1, error) if error > 1e-15 else None, covers,
        effect_size=paired.effect_size, correlation=paired.correlation,
        noise_floor=criteria.floor(metric), units=over_examples.examples, per_seed=per_seed,
        higher_is_better=direction,
    )  # fmt: skip
    return replace(found, verdict=_verdict(found, criteria))


def _verdict(delta: Delta, criteria: Criteria) -> str:
    """What the interval says, where there are examples enough and the test agrees.

    A bootstrap of a few equal differences has no width: on its own it would be certain.
    """
    if delta.higher_is_better is None:
        return NO_DIRECTION
    if delta.units < criteria.fewest:
        return "undecided"
    said = verdict(
        delta.low, delta.high, criteria.margin, higher_is_better=delta.higher_is_better,
        noise_floor=delta.noise_floor, delta=delta.delta,
    )  # fmt: skip
    shown = delta.p_value is not None and delta.p_value <= criteria.alpha
    return said if said == "equivalent" or shown else "undecided"


def _within_shares(low: float, high: float) -> tuple[float, float]:
    """The interval of a difference of two shares: a t interval knows no bounds, these do."""
    return max(-1.0, low), min(1.0, high)


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


def _corpus_difference(
    metric: Metric, before: Seeds, after: Seeds, labels: Sequence[str], criteria: Criteria
) -> Delta | None:
    """The difference in a corpus metric, which is recomputed as a whole inside each resample.

    Examples won and lost are those of its per-example metric.
    """
    assert isinstance(metric.corpus, PairedCorpus)
    pairs = seed_pairs(before, after)
    shared = _scored(metric.per_example, pairs)
    if len(shared) < 2:
        return None
    groups = repeating([pairs[0][0][i].get("group") or i for i in shared])
    found = metric.corpus.difference(
        [([b[i] for i in shared], [a[i] for i in shared]) for b, a in pairs],
        labels,
        clusters=groups,
        confidence=criteria.confidence,
    )
    covers = covered(before, after, len(pairs)) if len(pairs) > 1 else "examples"
    sides = zip(*pairs, strict=True)
    first, second = (_scores(metric.per_example, shared, side).mean(axis=1) for side in sides)
    low, high = found.low, found.high
    if metric.unit in ("share", "F1"):
        low, high = _within_shares(low, high)
    judged = Delta(
        metric.name, found.delta, low, high, "undecided", found.n,
        won=int(np.sum(first < second)), lost=int(np.sum(first > second)),
        p_value=found.p_value, test=found.test, covers=covers,
        noise_floor=criteria.floor(metric.name), units=len(set(groups or shared)),
        per_seed=found.per_seed, higher_is_better=metric.higher_is_better,
    )  # fmt: skip
    return replace(judged, verdict=_verdict(judged, criteria))


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
