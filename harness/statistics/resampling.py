"""Bootstrap replicates in bounded memory, and the BCa limits taken from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.counting import counted
from harness.statistics.draws import Floats, bootstrap_draws, is_kept

CELLS_PER_CHUNK = 1_000_000
"""Random counts held at a time: 8 MB of float64."""

IN_TAIL = 25
"""Resamples that should lie beyond each end of an interval.

A quantile with k resamples beyond it has a relative error of its tail of 1/sqrt(k): 20% at 25.
"""

FEW_VALUES = 32
"""Long samples with at most this many distinct values are drawn as multinomial counts.

The cost of a resample is then the number of distinct values: two for right-or-wrong scores.
"""


MOST_DRAWN = 3_200
"""The longest sample whose 10,000 resamples are drawn once for all contrasts: see `KEPT_CELLS`."""


class Interval(NamedTuple):
    """A confidence interval in the unit of the values."""

    low: float
    high: float


def too_many_to_draw(values: Floats) -> bool:
    """Whether resamples of ``values`` cost seconds and say less than their saddlepoint.

    10,000 resamples of 20,000 different values take 1.8 s, and leave an end an error of 0.03
    standard errors; the approximation takes 8 ms, and its error falls with the sample. Few distinct
    values are drawn as counts, which is as fast and has no need of a smooth distribution.
    """
    return len(values) > MOST_DRAWN and len(np.unique(values)) > FEW_VALUES


def resampled_means(values: Floats, resamples: int, seed: int) -> Floats:
    """Means of `resamples` draws with replacement, shape (resamples,).

    Where draws are too many to be shared, values that repeat are drawn as multinomial counts of
    the distinct ones, which has the same distribution and costs distinct values, not examples.
    """
    n = len(values)
    if not is_kept(n, resamples):
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) <= FEW_VALUES:
            rng = np.random.default_rng(seed)
            return np.asarray(rng.multinomial(n, counts / n, resamples) @ distinct / n)
    parts = [draws @ values for draws in bootstrap_draws(n, resamples, seed)]
    return np.concatenate(parts) / n


def resampled_statistic(
    counts: Floats,
    statistic: Callable[[Floats], Floats],
    weights: Floats,
    *,
    resamples: int,
    seed: int,
) -> Floats:
    """Replicates of a statistic of summed counts, shape (resamples,).

    Args:
        counts: What each sampling unit adds to the sums, shape (units, cells).
        statistic: Maps sums of shape (k, cells) to values of shape (k,).
        weights: How many times each unit occurs in the sample, shape (units,).
        resamples: How many bootstrap samples are drawn.
        seed: Of the random generator.
    """
    units = int(weights.sum())
    if units == len(counts):
        drawn = bootstrap_draws(units, resamples, seed)
        return np.concatenate([statistic(draws @ counts) for draws in drawn])
    rng = np.random.default_rng(seed)
    share = weights / units
    parts = [
        statistic(rng.multinomial(units, share, size) @ counts)
        for size in chunk_sizes(resamples, max(counts.shape))
    ]
    return np.concatenate(parts)


def enough(confidence: float) -> int:
    """How many resamples it takes for `IN_TAIL` to lie beyond each end of an interval."""
    return math.ceil(2 * IN_TAIL / (1 - confidence) - 1e-6)


def chunk_sizes(resamples: int, width: int) -> list[int]:
    """Rows of each chunk, so that rows x width stays at `CELLS_PER_CHUNK` (one row at least)."""
    step = max(1, CELLS_PER_CHUNK // max(1, width))
    return [min(step, resamples - first) for first in range(0, resamples, step)]


def bca_limits(
    replicates: Floats,
    observed: float,
    jackknife: Floats,
    weights: Floats | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Bias-corrected and accelerated limits (Efron 1987; DiCiccio and Efron 1996).

    Args:
        replicates: Bootstrap values, shape (resamples,).
        observed: The statistic of the sample.
        jackknife: Leave-one-out values, shape (units,).
        weights: How often each leave-one-out value occurs; once by default.
        confidence: Nominal coverage.
    """
    from scipy.special import ndtr, ndtri

    size = len(replicates)
    # Replicates equal to the observed value count half on each side. Discrete scores give many of
    # them, and counting them as not below would shift the interval.
    tolerance = 1e-12 * max(1.0, abs(observed))
    equal = np.abs(replicates - observed) <= tolerance
    below = (np.sum((replicates < observed) & ~equal) + 0.5 * np.sum(equal)) / size
    # all replicates on one side would give an infinite bias
    bias = ndtri(np.clip(below, 1 / size, 1 - 1 / size))
    w = np.ones(len(jackknife)) if weights is None else weights
    gap = np.average(jackknife, weights=w) - jackknife
    spread = float(np.sum(w * gap**2))
    scale = 6 * spread**1.5  # 0 for spreads so small that their power underflows
    acceleration = float(np.sum(w * gap**3)) / scale if scale > 0 else 0.0
    # the usual formula has a pole at acceleration × z = 1; far skewed samples come near it
    z = bias + ndtri(np.array([0.5 - confidence / 2, 0.5 + confidence / 2]))
    levels = ndtr(bias + z / np.maximum(1 - acceleration * z, 1e-6))
    low, high = np.quantile(replicates, levels)
    return Interval(float(low), float(high))


def repeating(clusters: Sequence[Hashable] | None) -> Sequence[Hashable] | None:
    """``clusters`` if they repeat (one holds two examples or more) and two differ; else None.

    Clusters of one example each are examples; one cluster of everything leaves nothing to resample.
    """
    if clusters is None or not 1 < len(set(clusters)) < len(clusters):
        return None
    return clusters


def cluster_codes(clusters: Sequence[Hashable], n: int) -> NDArray[np.intp]:
    """Clusters numbered from 0, shape (n,).

    Raises:
        ValueError: the clusters are not n, or fewer than two differ.
    """
    if len(clusters) != n:
        raise ValueError(f"{counted(len(clusters), 'cluster')} for {counted(n, 'example')}")
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(c, len(numbers)) for c in clusters], dtype=np.intp)
    if len(numbers) < 2:
        raise ValueError("a clustered interval needs at least two clusters")
    return codes
