"""Macro-F1 and other statistics over labels, recomputed inside each resample or permutation.

They are no means of example scores, so a bootstrap of scores would not be valid for them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.crossed import CrossedDifference, crossed_difference
from harness.statistics.draws import Floats, sign_draws
from harness.statistics.label_values import LabelStatistic, macro_f1
from harness.statistics.resampling import (
    Interval,
    bca_limits,
    chunk_sizes,
    cluster_codes,
    enough,
    repeating,
    resampled_statistic,
)


class LabelDifference(NamedTuple):
    """A statistic over labels, such as macro-F1: fine-tuned minus baseline."""

    delta: float
    low: float
    high: float
    p_value: float
    test: str
    n: int


class _Cells(NamedTuple):
    """Examples grouped by their distinct combination of gold label and predictions."""

    of_example: NDArray[np.intp]
    """Cell of each example, shape (n,)."""
    counts: Floats
    """Examples in each cell, shape (cells,)."""
    designs: tuple[Floats, ...]
    """One per variant: what a cell adds to gold, predicted and hit counts, (cells, 3 labels)."""


def macro_f1_interval(
    gold: Sequence[Hashable],
    predicted: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    of: LabelStatistic = macro_f1,
) -> Interval:
    """The BCa interval of macro-F1 over exactly `labels`; a prediction outside them is a miss.

    Resamples are multinomial counts of the distinct (gold, prediction) combinations, or of whole
    clusters where they are given.

    Raises:
        ValueError: lengths differ, fewer than two examples or clusters, or an undeclared gold.
    """
    cells = _cells(gold, [predicted], labels)

    def statistic(sums: Floats) -> Floats:
        return of(sums @ cells.designs[0])

    return _interval(
        cells, statistic, clusters, confidence=confidence, resamples=resamples, seed=seed
    )


def macro_f1_difference(
    gold: Sequence[Hashable],
    baseline: Sequence[Hashable],
    finetuned: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    of: LabelStatistic = macro_f1,
) -> LabelDifference:
    """The difference of macro-F1, the same examples resampled for both sides.

    The p-value is that of `macro_f1_swap`.

    Raises:
        ValueError: lengths differ, fewer than two examples or clusters, or an undeclared gold.
    """
    cells = _cells(gold, [baseline, finetuned], labels)

    def statistic(sums: Floats) -> Floats:
        return of(sums @ cells.designs[1]) - of(sums @ cells.designs[0])

    low, high = _interval(
        cells, statistic, clusters, confidence=confidence, resamples=resamples, seed=seed
    )
    delta = float(statistic(cells.counts[None, :])[0])
    p = _swap_p(cells, clusters, resamples, seed, of)
    return LabelDifference(delta, low, high, p, "prediction swap", len(gold))


def macro_f1_crossed(
    gold: Sequence[Hashable],
    baseline: Sequence[Sequence[Hashable]],
    finetuned: Sequence[Sequence[Hashable]],
    labels: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    of: LabelStatistic = macro_f1,
) -> CrossedDifference:
    """The difference of macro-F1 averaged over training seeds, examples crossed with seeds.

    Each seed's difference is linearised over examples by jackknife pseudo-values (Efron and
    Stein 1981), whose examples x seeds table goes through `crossed_difference`; the point is the
    mean of the seeds' differences.

    Args:
        gold: Labels, shape (examples,).
        baseline: One list of predictions per seed, or a single one for all seeds.
        finetuned: One list of predictions per seed.
        labels: The declared labels.
        clusters: The cluster of each example, shape (examples,).
        confidence: Nominal coverage of the interval.
        of: The value over labels; macro-F1 unless another one is given.

    Raises:
        ValueError: as for `macro_f1_difference`, or seeds that do not pair.
    """
    before = list(baseline) * len(finetuned) if len(baseline) == 1 else list(baseline)
    pairs = list(zip(before, finetuned, strict=True))
    columns = [macro_f1_influence(gold, first, second, labels, of=of) for first, second in pairs]
    return crossed_difference(np.stack(columns, axis=1), clusters=clusters, confidence=confidence)


def macro_f1_influence(
    gold: Sequence[Hashable],
    baseline: Sequence[Hashable],
    finetuned: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    of: LabelStatistic = macro_f1,
) -> Floats:
    """Jackknife pseudo-values of the difference, shape (examples,); their mean is the difference.

    Raises:
        ValueError: as for `macro_f1_difference`.
    """
    cells = _cells(gold, [baseline, finetuned], labels)

    def statistic(sums: Floats) -> Floats:
        return of(sums @ cells.designs[1]) - of(sums @ cells.designs[0])

    n = len(cells.of_example)
    whole = float(statistic(cells.counts[None, :])[0])
    without = statistic(cells.counts - np.eye(len(cells.counts)))
    # Pseudo-values average to the bias-corrected difference. The reported one is uncorrected, so
    # they are shifted to it; their spread, which is what the interval needs, stays.
    values = (n * whole - (n - 1) * without)[cells.of_example]
    return np.asarray(values - values.mean() + whole)


def macro_f1_swap(
    gold: Sequence[Hashable],
    baseline: Sequence[Hashable],
    finetuned: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    of: LabelStatistic = macro_f1,
) -> float:
    """The two-sided p-value under swaps of both predictions within an example (Yeh 2000).

    Where clusters repeat, the examples of one are swapped together.

    Raises:
        ValueError: lengths differ, fewer than two examples, or an undeclared gold.
    """
    cells = _cells(gold, [baseline, finetuned], labels)
    return _swap_p(cells, clusters, resamples, seed, of)


class _Swaps(NamedTuple):
    """Units whose two predictions are swapped together, each with a chance of 1/2.

    `importance` is not valid here. It needs a statistic that is a sum of per-example effects;
    macro-F1 is not one, and the weight of an extreme pattern would have no bound.
    """

    before: Floats
    """Gold, predicted and hit counts of the baseline, shape (3 labels,)."""
    after: Floats
    steps: Floats
    """What swapping one unit moves from `after` to `before`, shape (units, 3 labels)."""
    of: LabelStatistic

    def gaps(self, swapped: Floats) -> Floats:
        """The difference after swapping so many of each unit, shape (k, units) to (k,)."""
        moved = swapped @ self.steps
        return np.asarray(self.of(self.after - moved) - self.of(self.before + moved))


def _swap_p(
    cells: _Cells,
    clusters: Sequence[Hashable] | None,
    resamples: int,
    seed: int,
    of: LabelStatistic,
) -> float:
    before, after = cells.designs
    steps, counts = after - before, cells.counts
    clusters = repeating(clusters)
    if clusters is not None:
        steps = _by_cluster(cells, clusters) @ steps
        counts = np.ones(len(steps))
    swaps = _Swaps(cells.counts @ before, cells.counts @ after, steps, of)
    gap = float(swaps.gaps(np.zeros(len(counts))))
    if clusters is None:
        drawn = _binomials(counts, resamples, seed)
    else:
        drawn = iter(sign_draws(len(counts), resamples, seed))
    # the tolerance counts a pattern that equals the observed one in spite of rounding
    hits = sum(int(np.sum(np.abs(swaps.gaps(d)) >= abs(gap) - 1e-12)) for d in drawn)
    return (hits + 1) / (resamples + 1)


def _binomials(counts: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    """How many examples of each cell are swapped: binomial, as if each were swapped on its own."""
    rng = np.random.default_rng(seed)
    whole = counts.astype(np.int64)
    for size in chunk_sizes(resamples, 3 * len(whole)):
        yield rng.binomial(whole, 0.5, (size, len(whole))).astype(np.float64)


def _by_cluster(cells: _Cells, clusters: Sequence[Hashable]) -> Floats:
    """How many examples of each cell a cluster holds, (clusters, cells)."""
    size = len(cells.counts)
    codes = cluster_codes(clusters, len(cells.of_example))
    groups = int(codes.max()) + 1
    flat = np.bincount(codes * size + cells.of_example, minlength=groups * size)
    return flat.reshape(groups, size).astype(np.float64)


def _interval(
    cells: _Cells,
    statistic: Callable[[Floats], Floats],
    clusters: Sequence[Hashable] | None,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    units, weights = np.eye(len(cells.counts)), cells.counts
    if clusters is not None:
        units = _by_cluster(cells, clusters)
        weights = np.ones(len(units))
    resamples = max(resamples, enough(confidence))
    replicates = resampled_statistic(units, statistic, weights, resamples=resamples, seed=seed)
    observed = float(statistic(cells.counts[None, :])[0])
    if np.ptp(replicates) == 0:
        return Interval(observed, observed)
    jackknife = statistic(cells.counts - units)
    return bca_limits(replicates, observed, jackknife, weights, confidence)


def _cells(
    gold: Sequence[Hashable], variants: Sequence[Sequence[Hashable]], labels: Sequence[Hashable]
) -> _Cells:
    if len(gold) < 2 or any(len(v) != len(gold) for v in variants):
        raise ValueError(
            f"need two or more pairs, got {len(gold)} and {[len(v) for v in variants]}"
        )
    number = {label: i for i, label in enumerate(labels)}
    if unknown := {g for g in gold if g not in number}:
        raise ValueError(f"gold labels outside the declared ones: {sorted(map(str, unknown))}")
    other = len(number)
    columns = [[number.get(x, other) for x in column] for column in (gold, *variants)]
    rows, inverse, counts = np.unique(
        np.array(columns, dtype=np.intp).T, axis=0, return_inverse=True, return_counts=True
    )
    one_hot = np.eye(other + 1)[:, :other]
    truth = one_hot[rows[:, 0]]
    designs = []
    for k in range(1, rows.shape[1]):
        guess = one_hot[rows[:, k]]
        designs.append(np.concatenate([truth, guess, truth * guess], axis=1))
    return _Cells(np.ravel(inverse), counts.astype(np.float64), tuple(designs))
