"""A difference averaged over several pairs of variants that were scored on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.difference import (
    EXAMPLES,
    Criteria,
    Delta,
    Floats,
    RecordPairs,
    clusters_of,
    difference_of_pairs,
    judged,
    mean_difference,
    scored_by_all,
    scores_of,
    within_shares,
)
from harness.analysis.more_examples import Spread
from harness.metrics.record import LinearCorpus, PairedCorpus
from harness.metrics.registry import example_metric, find
from harness.statistics import (
    Estimate,
    crossed_difference,
    detectable_mean_gap,
)


@dataclass(frozen=True)
class Averaged:
    """The mean difference over variants."""

    delta: Delta
    estimate: Estimate
    """The same with its standard error, to be combined with that of other data sets."""
    per_variant: tuple[float, ...]
    """The difference of each pair of variants, seeds averaged."""
    spread: Spread
    """What the error is made of, for `more_examples`."""


def averaged_difference(
    metric: str,
    variants: Sequence[RecordPairs],
    *,
    covers: str = EXAMPLES,
    criteria: Criteria,
    labels: Sequence[str] = (),
) -> Averaged | None:
    """The mean of the difference in ``metric`` over ``variants``; None where it is not scored.

    The variants are fixed: the mean is over these, and how they differ is not an error of it.
    Examples are paired across all of them, so what they share is not counted twice. Seeds with
    one number are one draw, whatever the variant: they share the order of the training rows.

    Args:
        metric: A metric with a score per example, or a corpus metric.
        variants: For each pair of variants the records of both sides by seed. All have the same
            number of seeds; an untrained pair has a single one and counts for each of them.
        covers: What the interval covers, in words.
        criteria: What the difference is judged by.
        labels: The declared labels of a classification task.
    """
    pairs = [pair for variant in variants for pair in variant]
    shared = scored_by_all(example_metric(metric), pairs)
    record = find(metric)
    corpus = record.corpus if record else None
    if len(shared) < 2 or (isinstance(corpus, PairedCorpus) and not labels):
        return None
    before, after = (_scores(metric, shared, variants, side) for side in (0, 1))
    clusters = clusters_of(shared, pairs)
    if not isinstance(corpus, PairedCorpus):
        base, tuned = before.mean(axis=0), after.mean(axis=0)
        delta = mean_difference(metric, base, tuned, clusters, covers=covers, criteria=criteria)
        return _with_error(delta, after - before, clusters, criteria)
    if not isinstance(corpus, LinearCorpus):
        return None  # a plug-in's metric that has no values to average
    gaps = _linear(corpus, variants, shared, labels)
    if len(variants) == 1:
        single = difference_of_pairs(
            metric, variants[0], covers=covers, criteria=criteria, labels=labels
        )
        return _with_error(single, gaps, clusters, criteria) if single else None
    crossed = crossed_difference(
        gaps.mean(axis=0), clusters=clusters, confidence=criteria.confidence
    )
    first, second = (side.mean(axis=(0, 2)) for side in (before, after))
    found: tuple[float, float] = (crossed.low, crossed.high)
    if crossed.standard_error == 0:  # nothing varies here, which does not prove that nothing can
        one = difference_of_pairs(metric, variants[0][:1], criteria=criteria, labels=labels)
        found = (one.low, one.high) if one else found
    # the labels' values are shares, and a t interval ignores their ends
    low, high = within_shares(*found)
    delta = Delta(
        metric, crossed.delta, low, high, "undecided", len(shared),
        won=int(np.sum(first < second)), lost=int(np.sum(first > second)),
        p_value=crossed.p_value, test="t over jackknife values", covers=covers,
        noise_floor=criteria.floor(metric), units=crossed.examples,
        per_seed=crossed.per_seed if gaps.shape[2] > 1 else (),
        higher_is_better=record.higher_is_better if record else None,
    )  # fmt: skip
    return _with_error(judged(delta, criteria), gaps, clusters, criteria)


def _scores(
    metric: str, shared: Sequence[str], variants: Sequence[RecordPairs], side: int
) -> Floats:
    """Scores of variants × examples × seeds on one side."""
    columns = max(map(len, variants))
    name = example_metric(metric)
    return np.stack(
        [
            np.broadcast_to(
                scores_of(name, shared, [pair[side] for pair in variant]), (len(shared), columns)
            )
            for variant in variants
        ]
    )


def _linear(
    corpus: LinearCorpus,
    variants: Sequence[RecordPairs],
    shared: Sequence[str],
    labels: Sequence[str],
) -> Floats:
    """Pseudo-values of variants × examples × seeds."""
    columns = max(map(len, variants))
    found = []
    for variant in variants:
        sides = [([b[i] for i in shared], [a[i] for i in shared]) for b, a in variant]
        values = np.array(corpus.pseudo_values(sides, labels)).T
        found.append(np.broadcast_to(values, (len(shared), columns)))
    return np.stack(found)


def _with_error(
    delta: Delta, gaps: Floats, clusters: Sequence[str], criteria: Criteria
) -> Averaged:
    mean = gaps.mean(axis=0)
    crossed = crossed_difference(mean, clusters=clusters)
    over_examples = crossed_difference(mean.mean(axis=1, keepdims=True), clusters=clusters)
    # a few seeds can agree by chance: never claim less error than the examples alone give
    widest = max(over_examples, crossed, key=lambda found: found.standard_error)
    error = widest.standard_error
    estimate = Estimate(delta.delta, error, widest.degrees_of_freedom)
    if delta.detectable is None and error > 1e-15:
        delta = replace(delta, detectable=detectable_mean_gap(1, error))
    per_variant = tuple(float(value) for value in gaps.mean(axis=(1, 2)))
    return Averaged(delta, estimate, per_variant, Spread.of(crossed, delta.n))
