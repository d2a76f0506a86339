"""Confidence intervals of one mean or proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

CHUNK = 1000
"""Resamples drawn at a time, which bounds memory to CHUNK × examples."""


class Interval(NamedTuple):
    """A confidence interval in the unit of the values."""

    low: float
    high: float


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + confidence / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def bca(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean (Efron 1987)."""
    from scipy.stats import norm

    x = np.asarray(values, dtype=float)
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]))
    means = _resampled_means(x, resamples, seed)
    below = (np.sum(means < x.mean()) + 0.5 * np.sum(means == x.mean())) / resamples
    bias = norm.ppf(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    jackknife = (x.sum() - x) / (len(x) - 1)
    gap = jackknife.mean() - jackknife
    acceleration = np.sum(gap**3) / (6 * np.sum(gap**2) ** 1.5)
    z = norm.ppf([0.5 - confidence / 2, 0.5 + confidence / 2])
    levels = norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(means, levels)
    return Interval(float(low), float(high))


def _resampled_means(x: np.ndarray[Any, Any], resamples: int, seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    parts = [
        x[rng.integers(0, len(x), (min(CHUNK, resamples - first), len(x)))].mean(axis=1)
        for first in range(0, resamples, CHUNK)
    ]
    return np.concatenate(parts)


def clustered_t(
    values: Sequence[float], clusters: Sequence[Any], *, confidence: float = 0.95
) -> Interval:
    """A t interval of the mean with cluster-robust standard error (Miller 2024, eq. 4).

    Raises:
        ValueError: there are fewer than two clusters.
    """
    from scipy.stats import t

    x = np.asarray(values, dtype=float)
    _, codes = np.unique(np.asarray([str(c) for c in clusters]), return_inverse=True)
    groups = int(codes.max()) + 1
    if groups < 2:
        raise ValueError("a clustered interval needs at least two clusters")
    sums = np.bincount(codes, weights=x - x.mean())
    error = np.sqrt(groups / (groups - 1) * np.sum(sums**2)) / len(x)
    half = float(t.ppf(0.5 + confidence / 2, groups - 1) * error)
    return Interval(float(x.mean()) - half, float(x.mean()) + half)
