"""The difference of two variants on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from harness.statistics.intervals import bca, clustered_t


class Difference(NamedTuple):
    """Fine-tuned minus baseline, over paired examples."""

    delta: float
    low: float
    """Lower end of the 95% interval over examples."""
    high: float
    p_value: float
    test: str
    """`mid-p McNemar` for right or wrong, `sign-flip` otherwise."""
    n: int
    won: int
    lost: int
    tied: int


def paired_difference(
    baseline: Sequence[float],
    finetuned: Sequence[float],
    *,
    clusters: Sequence[Any] | None = None,
    seed: int = 0,
) -> Difference:
    """The mean difference with its interval: clustered t where clusters repeat, else BCa.

    Raises:
        ValueError: the sequences differ in length or hold fewer than two pairs.
    """
    before, after = (np.asarray(v, dtype=float) for v in (baseline, finetuned))
    if len(before) != len(after) or len(before) < 2:
        raise ValueError(f"need two or more pairs, got {len(before)} and {len(after)}")
    d = after - before
    if clusters is not None and 1 < len(set(clusters)) < len(d):
        low, high = clustered_t(d.tolist(), clusters)
    else:
        low, high = bca(d.tolist(), seed=seed)
    won, lost = int(np.sum(d > 0)), int(np.sum(d < 0))
    binary = bool(np.isin(np.concatenate([before, after]), (0.0, 1.0)).all())
    p = mid_p_mcnemar(won, lost) if binary else sign_flip(d, seed=seed)
    name = "mid-p McNemar" if binary else "sign-flip"
    return Difference(float(d.mean()), low, high, p, name, len(d), won, lost, len(d) - won - lost)


def mid_p_mcnemar(won: int, lost: int) -> float:
    """The two-sided mid-p value of McNemar's test (Fagerland, Lydersen and Laake 2013)."""
    from scipy.stats import binom

    n, smaller = won + lost, min(won, lost)
    if n == 0:
        return 1.0
    exact = 2 * binom.cdf(smaller, n, 0.5) - binom.pmf(smaller, n, 0.5)
    return float(min(1.0, exact))


def sign_flip(differences: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> float:
    """The two-sided p-value of a mean under random flips of each difference's sign."""
    d = np.asarray(differences, dtype=float)
    rng = np.random.default_rng(seed)
    observed = abs(d.mean())
    hits = 0
    for first in range(0, resamples, 1000):
        signs = rng.choice((-1.0, 1.0), size=(min(1000, resamples - first), len(d)))
        hits += int(np.sum(np.abs((signs * d).mean(axis=1)) >= observed - 1e-12))
    return (hits + 1) / (resamples + 1)
