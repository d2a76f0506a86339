"""The mean difference over examples crossed with training seeds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.draws import Floats
from harness.statistics.resampling import cluster_codes, repeating


class CrossedDifference(NamedTuple):
    """A mean difference whose error counts examples and seeds as random."""

    delta: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float
    """Satterthwaite's, never below the smaller of examples - 1 and seeds - 1."""
    examples: int
    """Examples, or clusters of them where clusters repeat."""
    seeds: int
    example_variance: float
    seed_variance: float | None
    """Variance between trainings; None with one seed."""
    residual_variance: float | None
    per_seed: tuple[float, ...]
    """Mean difference of each seed, in the order of the columns."""


def crossed_difference(
    differences: Sequence[Sequence[float]] | NDArray[np.float64],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> CrossedDifference:
    """The mean of d[example, seed] with its interval from a two-way random-effects ANOVA.

    Var(mean) = example / n + seed / s + residual / (n s), components from mean squares and not
    below 0; degrees of freedom after Satterthwaite 1946 (Searle, Casella and McCulloch 1992).
    With one seed the error covers examples only and the training noise is unknown. Where clusters
    repeat, they stand in for the examples: each adds the sum of its deviations from the mean, as
    in the cluster-robust standard error of Miller 2024, eq. 4.

    Args:
        differences: Shape (examples, seeds), no gaps.
        clusters: The cluster of each example, shape (examples,).
        confidence: Nominal coverage of the interval.

    Raises:
        ValueError: fewer than two examples, no seed, ragged rows or a value that is not finite.
    """
    from scipy.special import stdtr, stdtrit

    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] < 2 or d.shape[1] < 1 or not np.isfinite(d).all():
        raise ValueError(f"need finite differences of examples x seeds, got shape {d.shape}")
    clusters = repeating(clusters)
    if clusters is not None:
        d = _cluster_totals(d, cluster_codes(clusters, len(d)))
    n, seeds = d.shape
    example, seed, residual, variance, freedom = _one_seed(d) if seeds == 1 else _two_way(d)
    delta, error = float(d.mean()), float(np.sqrt(variance))
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(delta) / error)) if error > 0 else float(delta == 0)
    return CrossedDifference(
        delta, delta - half, delta + half, p, error, freedom, n, seeds,
        example, seed, residual, tuple(float(m) for m in d.mean(axis=0)),
    )  # fmt: skip


def _cluster_totals(d: Floats, codes: NDArray[np.intp]) -> Floats:
    """One row per cluster whose mean over clusters is the mean over examples, in every column."""
    groups = int(codes.max()) + 1
    totals = np.zeros((groups, d.shape[1]))
    np.add.at(totals, codes, d - d.mean())
    return np.asarray(d.mean() + totals * groups / len(d))


class _Components(NamedTuple):
    example: float
    seed: float | None
    residual: float | None
    of_mean: float
    freedom: float


def _one_seed(d: Floats) -> _Components:
    spread = float(np.var(d[:, 0], ddof=1))
    return _Components(spread, None, None, spread / len(d), float(len(d) - 1))


def _two_way(d: Floats) -> _Components:
    n, s = d.shape
    rows, columns, grand = d.mean(axis=1), d.mean(axis=0), d.mean()
    df = (n - 1, s - 1, (n - 1) * (s - 1))
    residuals = d - rows[:, None] - columns[None, :] + grand
    of_rows = float(s * np.sum((rows - grand) ** 2) / df[0])
    of_columns = float(n * np.sum((columns - grand) ** 2) / df[1])
    within = float(np.sum(residuals**2) / df[2])
    # Variance components by the method of moments. It can give a negative one; that is an estimate
    # of 0 (Searle, Casella and McCulloch 1992).
    example = max(0.0, of_rows - within) / s
    seed = max(0.0, of_columns - within) / n
    total = example / n + seed / s + within / (n * s)
    squares = of_rows**2 / df[0] + of_columns**2 / df[1] + within**2 / df[2]
    # Satterthwaite's value falls below both factors' degrees of freedom when the components are
    # near 0. The smaller of the two is then the honest one: fewer would widen without reason.
    floor = float(min(df[0], df[1]))
    freedom = max(floor, (total * n * s) ** 2 / squares) if squares > 0 else floor
    return _Components(example, seed, within, total, freedom)
