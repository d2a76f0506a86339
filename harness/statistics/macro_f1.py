"""Macro-F1 and other statistics over labels, recomputed inside each resample or permutation.

They are no means of example scores, so a bootstrap of scores would not be valid for them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.statistics.crossed import CrossedDifference, crossed_difference
from harness.statistics.draws import Floats, sign_draws
from harness.statistics.intervals import wilson_share
from harness.statistics.label_cells import Cells, by_cluster, cells_of
from harness.statistics.label_values import LabelStatistic, macro_f1
from harness.statistics.paired import agresti_min
from harness.statistics.resampling import (
    Interval,
    bca_limits,
    chunk_sizes,
    enough,
    repeating,
    resampled_statistic,
)


class CorpusDifference(NamedTuple):
    """Second minus first in a value of all examples together, such as macro-F1."""

    delta: float
    low: float
    high: float
    p_value: float
    test: str
    n: int
    per_seed: tuple[float, ...] = ()
    """The difference of each training seed, if there are several."""


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
    clusters where they are given. Where no resample differs (all right, or all wrong), it is
    Wilson's interval for the number of examples that the rarest label allows.

    Raises:
        ValueError: lengths differ, fewer than two examples or clusters, or an undeclared gold.
    """
    cells = cells_of(gold, [predicted], labels)

    def statistic(sums: Floats) -> Floats:
        return of(sums @ cells.designs[0])

    right = np.split(cells.designs[0], 3, axis=1)[2].sum(axis=1)
    found = None
    if 0 < right.mean() < 1:
        found = _interval(
            cells, statistic, clusters, confidence=confidence, resamples=resamples, seed=seed
        )
    # all right or all wrong: no resample holds an error, and a few only lack the rarest label
    if found is None:
        observed = float(statistic(cells.counts[None, :])[0])
        return wilson_share(observed, _effective(cells, clusters), confidence)
    return found


def _effective(cells: Cells, clusters: Sequence[Hashable] | None) -> int:
    """The examples that a value over labels is as certain as: labels × those of the rarest.

    A bootstrap of answers that are all right never draws a wrong one, and its interval has no
    width. Errors may sit in any label, and macro-F1 weighs them all alike: one example of the
    rarest moves it most. With equal labels this is the number of examples. Clusters count as one.
    """
    units = by_cluster(cells, clusters) if clusters is not None else np.diag(cells.counts)
    gold = np.split(cells.designs[0], 3, axis=1)[0]
    having = units @ gold
    sizes = (having > 0).sum(axis=0) if clusters is not None else having.sum(axis=0)
    return len(sizes) * int(sizes[sizes > 0].min())


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
) -> CorpusDifference:
    """The difference of macro-F1, the same examples resampled for both sides.

    The p-value is that of `macro_f1_swap`. Where no resample differs, the interval is Agresti and
    Min's of no discordant example, for the number of examples that the rarest label allows.

    Raises:
        ValueError: lengths differ, fewer than two examples or clusters, or an undeclared gold.
    """
    cells = cells_of(gold, [baseline, finetuned], labels)

    def statistic(sums: Floats) -> Floats:
        return of(sums @ cells.designs[1]) - of(sums @ cells.designs[0])

    found = _interval(
        cells, statistic, clusters, confidence=confidence, resamples=resamples, seed=seed
    )
    if found is None:  # the sides agree on every example, which does not prove that they always do
        found = agresti_min(0, 0, _effective(cells, clusters), confidence=confidence)
    low, high = found
    delta = float(statistic(cells.counts[None, :])[0])
    p = _swap_p(cells, clusters, resamples, seed, of)
    return CorpusDifference(delta, low, high, p, "prediction swap", len(gold))


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
    cells = cells_of(gold, [baseline, finetuned], labels)

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
    cells = cells_of(gold, [baseline, finetuned], labels)
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
    cells: Cells,
    clusters: Sequence[Hashable] | None,
    resamples: int,
    seed: int,
    of: LabelStatistic,
) -> float:
    before, after = cells.designs
    steps, counts = after - before, cells.counts
    clusters = repeating(clusters)
    if clusters is not None:
        steps = by_cluster(cells, clusters) @ steps
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


def _interval(
    cells: Cells,
    statistic: Callable[[Floats], Floats],
    clusters: Sequence[Hashable] | None,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval | None:
    """The BCa interval of a statistic of summed counts; None if no resample differs."""
    units, weights = np.eye(len(cells.counts)), cells.counts
    if clusters is not None:
        units = by_cluster(cells, clusters)
        weights = np.ones(len(units))
    resamples = max(resamples, enough(confidence))
    replicates = resampled_statistic(units, statistic, weights, resamples=resamples, seed=seed)
    observed = float(statistic(cells.counts[None, :])[0])
    if np.ptp(replicates) <= 1e-12:  # sums in another order differ in their last bits
        return None
    jackknife = statistic(cells.counts - units)
    return bca_limits(replicates, observed, jackknife, weights, confidence)
