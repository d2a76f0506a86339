"""The paired difference of two variants: whether they are comparable, interval, p-value, verdict.

A side is a variant's records by training seed. Equal seeds are paired, and averaged in an example.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.analysis.columns import aligned, field_of, ids_of, scores_in
from harness.analysis.seeds import covered, seed_pairs
from harness.metrics.prediction import Records
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
Seeds = Mapping[int | None, Records]
"""Training seed → records. The key None means an untrained model, or an unknown seed."""
RecordPairs = Sequence[tuple[Records, Records]]
"""The records of both sides, for each pair of training seeds."""
EXAMPLES = "examples"
"""What an interval covers without several seeds."""
_NO_SEEDS: tuple[float, ...] = ()
NO_DIRECTION = "no direction"
"""The verdict if it is not declared whether higher values of the metric are better."""
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
    `no direction` if higher is neither better nor worse, or if the direction is not declared."""
    n: int
    won: int
    lost: int
    p_value: float | None = None
    test: str = ""
    """The test of the p-value, as `harness.statistics` names it."""
    detectable: float | None = None
    """The smallest difference detectable with 80% power, from the interval's standard error."""
    covers: str = ""
    """What the interval covers: `examples`, or `examples and N seeds`, and how the seeds pair."""
    p_adjusted: float | None = None
    """The p-value after Holm's correction over the table's family; None outside a family."""
    effect_size: float | None = None
    """Cohen's d_z over examples, seeds averaged."""
    correlation: float | None = None
    """Pearson's r of the two sides' scores over examples."""
    noise_floor: float = 0.0
    """How far the baseline's score moves when it is evaluated again; a smaller Δ is undecided."""
    units: int = 0
    """Independent examples: groups count as one each."""
    per_seed: tuple[float, ...] = ()
    """The difference of each training seed, where there are several."""
    higher_is_better: bool | None = None
    """None if the direction is not declared."""


@dataclass(frozen=True)
class Criteria:
    """What a difference is judged by."""

    margin: float = 0.0
    """The smallest difference that matters."""
    noise: Mapping[str, float] | None = None
    """Metric → noise floor."""
    confidence: float = 0.95
    directions: Mapping[str, bool | None] | None = None
    """Metric → whether higher is better, stored with the results of unregistered metrics."""

    @property
    def alpha(self) -> float:
        """The level of the test that belongs to the interval."""
        return 1 - self.confidence

    @property
    def fewest(self) -> int:
        """The fewest independent examples that can reach the level: 6 at 95%, all in agreement."""
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

    Corpus metrics are resampled as a whole, which is slow. Only those that a leaderboard shows by
    default are compared, and those in ``also`` (the primary metric).
    """
    first, criteria = next(iter(before.values())), criteria or Criteria()
    deltas: dict[str, Delta] = {}
    for metric in sorted({m for record in first.values() for m in record["scores"]}):
        delta = difference(metric, before, after, criteria=criteria)
        if delta:
            deltas[metric] = delta
    for record in registered() if labels else ():
        compared = record.name in also or "leaderboard" in record.shown
        if compared and isinstance(record.corpus, PairedCorpus):
            delta = difference(record.name, before, after, criteria=criteria, labels=labels)
            deltas |= {record.name: delta} if delta else {}
    return deltas


def difference(
    metric: str,
    before: Seeds,
    after: Seeds,
    *,
    criteria: Criteria | None = None,
    labels: Sequence[str] = (),
) -> Delta | None:
    """The paired difference in ``metric``; None if fewer than two examples have it on all sides.

    Args:
        metric: A metric with a score per example, or a corpus metric.
        before: One side's records by training seed.
        after: The other's.
        criteria: What the difference is judged by.
        labels: The declared labels of a classification task.
    """
    pairs = seed_pairs(before, after)
    covers = covered(before, after, len(pairs)) if len(pairs) > 1 else EXAMPLES
    return difference_of_pairs(metric, pairs, covers=covers, criteria=criteria, labels=labels)


def difference_of_pairs(
    metric: str,
    pairs: RecordPairs,
    *,
    covers: str = EXAMPLES,
    criteria: Criteria | None = None,
    labels: Sequence[str] = (),
) -> Delta | None:
    """`difference` of sides whose seeds are paired already; ``covers`` says how."""
    criteria = criteria or Criteria()
    record = find(metric)
    if record is not None and isinstance(record.corpus, PairedCorpus):
        return _corpus_difference(record, pairs, covers, labels, criteria) if labels else None
    shared = scored_by_all(metric, pairs)
    if len(shared) < 2:
        return None
    base, tuned = (scores_of(metric, shared, sides) for sides in zip(*pairs, strict=True))
    clusters = clusters_of(shared, pairs)
    return mean_difference(metric, base, tuned, clusters, covers=covers, criteria=criteria)


def mean_difference(
    metric: str,
    base: Floats,
    tuned: Floats,
    clusters: Sequence[str],
    *,
    covers: str,
    criteria: Criteria,
) -> Delta:
    """The difference in a mean of per-example scores, given as examples × seeds."""
    paired = paired_difference(
        base.mean(axis=1), tuned.mean(axis=1), clusters=clusters, confidence=criteria.confidence
    )
    low, high, p, test = paired.low, paired.high, paired.p_value, paired.test
    per_seed = _NO_SEEDS
    gaps = tuned - base
    over_examples = crossed_difference(gaps.mean(axis=1, keepdims=True), clusters=clusters)
    error = over_examples.standard_error
    # With few seeds the estimated noise between trainings can be 0 by chance: never go below the
    # interval and p-value over examples alone.
    if gaps.shape[1] > 1:
        crossed = crossed_difference(gaps, clusters=clusters, confidence=criteria.confidence)
        error = max(error, crossed.standard_error)
        low, high = min(low, crossed.low), max(high, crossed.high)
        p, test = max(p, crossed.p_value), f"{test} and crossed seeds, the larger"
        per_seed = crossed.per_seed
    if min(base.min(), tuned.min()) >= 0 and max(base.max(), tuned.max()) <= 1:
        low, high = within_shares(low, high)
    direction = direction_of(metric, criteria.directions)
    counts = (paired.won, paired.lost)  # higher and lower scores: for a loss, lower means won
    won, lost = counts[::-1] if direction is False else counts
    delta = Delta(
        metric, paired.delta, low, high, "undecided", paired.n, won, lost, p, test,
        detectable_mean_gap(1, error) if error > 1e-15 else None, covers,
        effect_size=paired.effect_size, correlation=paired.correlation,
        noise_floor=criteria.floor(metric), units=over_examples.examples, per_seed=per_seed,
        higher_is_better=direction,
    )  # fmt: skip
    return judged(delta, criteria)


def judged(delta: Delta, criteria: Criteria) -> Delta:
    """``delta`` with its verdict by ``criteria``."""
    return replace(delta, verdict=_verdict(delta, criteria))


def _verdict(delta: Delta, criteria: Criteria) -> str:
    """The verdict of the interval, if there are enough examples and the test agrees."""
    if delta.higher_is_better is None:
        return NO_DIRECTION
    if (
        delta.units < criteria.fewest
    ):  # the bootstrap interval of a few equal differences has width 0
        return "undecided"
    by_interval = verdict(
        delta.low, delta.high, criteria.margin, higher_is_better=delta.higher_is_better,
        noise_floor=delta.noise_floor, delta=delta.delta,
    )  # fmt: skip
    significant = delta.p_value is not None and delta.p_value <= criteria.alpha
    # equivalence is a claim about the interval; the test is of a difference and has no say in it
    return by_interval if by_interval == "equivalent" or significant else "undecided"


def within_shares(low: float, high: float) -> tuple[float, float]:
    """The interval clipped to what a difference of two shares can be; a t interval ignores it."""
    return max(-1.0, low), min(1.0, high)


def scored_by_all(metric: str, pairs: RecordPairs) -> list[str]:
    """The examples that every side scored, in the first side's order."""
    sides = {id(side): side for pair in pairs for side in pair}.values()
    ids = ids_of(pairs[0][0])
    scored = np.ones(len(ids), np.bool_)
    for side in sides:
        scored &= ~np.isnan(aligned(scores_in(side, metric), side, ids))
    return ids if scored.all() else list(itertools.compress(ids, scored))


def clusters_of(shared: Sequence[str], pairs: RecordPairs) -> list[str]:
    """The group of each example; its own id where it has none."""
    first = pairs[0][0]
    if ids_of(first) == shared:
        return [str(group or i) for i, group in zip(shared, field_of(first, "group"), strict=True)]
    return [first[i].get("group") or i for i in shared]


def scores_of(metric: str, shared: Sequence[str], sides: Sequence[Records]) -> Floats:
    """Scores of examples × sides."""
    return np.array([aligned(scores_in(side, metric), side, shared) for side in sides]).T


def _corpus_difference(
    metric: Metric, pairs: RecordPairs, covers: str, labels: Sequence[str], criteria: Criteria
) -> Delta | None:
    """The difference in a corpus metric, which is recomputed as a whole inside each resample.

    Examples won and lost are those of its per-example metric.
    """
    assert isinstance(metric.corpus, PairedCorpus)
    shared = scored_by_all(metric.per_example, pairs)
    if len(shared) < 2:
        return None
    groups = repeating(clusters_of(shared, pairs))
    corpus = metric.corpus.difference(
        [([b[i] for i in shared], [a[i] for i in shared]) for b, a in pairs],
        labels,
        clusters=groups,
        confidence=criteria.confidence,
    )
    sides = zip(*pairs, strict=True)
    first, second = (scores_of(metric.per_example, shared, side).mean(axis=1) for side in sides)
    low, high = corpus.low, corpus.high
    if metric.unit in ("share", "F1"):
        low, high = within_shares(low, high)
    delta = Delta(
        metric.name, corpus.delta, low, high, "undecided", corpus.n,
        won=int(np.sum(first < second)), lost=int(np.sum(first > second)),
        p_value=corpus.p_value, test=corpus.test, covers=covers,
        noise_floor=criteria.floor(metric.name), units=len(set(groups or shared)),
        per_seed=corpus.per_seed, higher_is_better=metric.higher_is_better,
    )  # fmt: skip
    return judged(delta, criteria)
