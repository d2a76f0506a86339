"""Confidence intervals of one mean or proportion."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from harness.statistics.draws import Floats
from harness.statistics.power import sign_flip_floor
from harness.statistics.resampling import (
    Interval,
    bca_limits,
    cluster_codes,
    enough,
    resampled_means,
    too_many_to_draw,
)
from harness.statistics.saddlepoint import bca_mean


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927).

    Raises:
        ValueError: n is not positive, or successes lie outside 0 to n.
    """
    _check_proportion(successes, n)
    return wilson_share(successes / n, float(n), confidence)


def wilson_share(share: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's interval of ``share`` over ``n`` examples, which may be an effective number."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, float(centre - half))
    high = 1.0 if share == 1 else min(1.0, float(centre + half))
    return Interval(low, high)


def two_proportions(first: float, n_first: int, second: float, n_second: int) -> float:
    """The two-sided p-value of two independent shares: the pooled score test (Pearson 1900).

    For results that keep no example; pairing would need far fewer (see `harness.statistics.power`).
    """
    from scipy.special import ndtr

    pooled = (first * n_first + second * n_second) / (n_first + n_second)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_first + 1 / n_second))
    return float(2 * ndtr(-abs(first - second) / error)) if error > 0 else 1.0


def _check_proportion(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a proportion")


def bca(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean (Efron 1987).

    Equal values give an interval of width 0, which does not bound unseen values. The saddlepoint
    approximation gives the interval instead if fewer than `IN_TAIL` resamples lie beyond an end,
    and of samples that are `too_many_to_draw`.

    Raises:
        ValueError: there are fewer than two values, or one is not finite.
    """
    x = _finite(values)
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]))
    if resamples < enough(confidence) or too_many_to_draw(x):
        return bca_mean(x, confidence)
    jackknife = (x.sum() - x) / (len(x) - 1)
    means = resampled_means(x, resamples, seed)
    return bca_limits(means, float(x.mean()), jackknife, confidence=confidence)


def clustered_t(
    values: Sequence[float], clusters: Sequence[Hashable], *, confidence: float = 0.95
) -> Interval:
    """A t interval of the mean with cluster-robust standard error (Miller 2024, eq. 4).

    Raises:
        ValueError: there are fewer than two values or clusters, or one value is not finite.
    """
    from scipy.special import stdtrit

    mean = clustered_mean(values, clusters)
    half = float(stdtrit(mean.groups - 1, 0.5 + confidence / 2) * mean.error)
    return Interval(mean.mean - half, mean.mean + half)


def clustered_share(
    values: Sequence[float], clusters: Sequence[Hashable], *, confidence: float = 0.95
) -> Interval:
    """Wilson's interval of a share whose examples come in groups; it never leaves 0 to 1.

    The examples count as the effective number that the cluster-robust standard error belongs to
    (Korn and Graubard 1998), at least as many as there are groups and at most as there are
    examples. Where every group is all right or all wrong alike, they count as the groups.

    Raises:
        ValueError: there are fewer than two values or clusters, or one value is not finite.
    """
    mean = clustered_mean(values, clusters)
    n = len(values)
    spread = mean.mean * (1 - mean.mean)
    # p(1 - p)/n is the variance of n independent examples, so p(1 - p)/error² is how many there are
    effective = spread / mean.error**2 if mean.error > 0 else float(mean.groups)
    return wilson_share(mean.mean, min(max(effective, float(mean.groups)), float(n)), confidence)


def clustered_t_p(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """The two-sided p-value of the hypothesis that the mean is 0; it belongs to `clustered_t`.

    Where the clusters do not differ at all, a t-test would claim p = 0 from two clusters. The
    value is then 1 for a mean of 0, else the smallest that a sign-flip test of them can give.

    Raises:
        ValueError: as for `clustered_t`.
    """
    from scipy.special import stdtr

    mean = clustered_mean(values, clusters)
    if mean.error <= 1e-12 * abs(mean.mean):  # rounding leaves an error where there is none
        return sign_flip_floor(mean.groups) if mean.mean else 1.0
    return float(2 * stdtr(mean.groups - 1, -abs(mean.mean) / mean.error))


class ClusteredMean(NamedTuple):
    """A mean and its cluster-robust standard error."""

    mean: float
    error: float
    groups: int
    """Distinct clusters; the degrees of freedom are one less."""


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> ClusteredMean:
    """The mean of ``values`` with the standard error of Miller 2024, eq. 4.

    Raises:
        ValueError: there are fewer than two values or clusters, or one value is not finite.
    """
    x = _finite(values)
    codes = cluster_codes(clusters, len(x))
    groups = int(codes.max()) + 1
    sums = np.bincount(codes, weights=x - x.mean())
    # groups / (groups - 1) corrects for few clusters, as Stata's and statsmodels' CR1 do
    error = np.sqrt(groups / (groups - 1) * np.sum(sums**2)) / len(x)
    return ClusteredMean(float(x.mean()), float(error), groups)


def _finite(values: Sequence[float]) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        raise ValueError(f"an interval needs two or more values, got {len(x)}")
    if not np.isfinite(x).all():
        raise ValueError("an interval needs finite values")
    return x
