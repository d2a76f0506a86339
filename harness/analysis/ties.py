"""Which rows of a table tie: every pair compared on the same examples, Holm over the family.

Two rows that share a letter are not significantly different. Ranks would claim an order that the
examples do not support.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.difference import Seeds
from harness.analysis.family import ALPHA
from harness.analysis.seeds import seed_pairs
from harness.metrics.prediction import Records
from harness.metrics.record import PairedCorpus
from harness.metrics.registry import example_metric, find
from harness.statistics import (
    clustered_t_p,
    crossed_difference,
    holm,
    mid_p_mcnemar,
    repeating,
    tie_groups,
    two_proportions,
)

Floats = NDArray[np.float64]
MAX_ROWS = 60
"""Above this many rows there are no tie groups.

60 rows make 1,770 pairs, and Holm's first step divides the level by so many: hardly any pair of
realistic size would differ. Each pair also costs a test.
"""
MAX_UNPAIRED_ROWS = 150
"""The same limit for rows without records, where a pair costs one formula."""
SWAPS, SWAPS_PER_PAIR = 2_000, 30
"""Permutations for a pair in a corpus metric: the minimum, and the number per pair of the family.

A permutation p-value cannot be below 1/(permutations + 1). Holm multiplies the smallest by the
number of pairs, so with 30 per pair the smallest adjusted value is 0.033, below `ALPHA`.
"""


@dataclass(frozen=True)
class RowScores:
    """One row's records by seed."""

    name: str
    seeds: Seeds
    share: tuple[float, int] | None = None
    """Share of right answers and number of examples, for a row whose records were not kept."""


@dataclass(frozen=True)
class Ties:
    """Tie groups of a table."""

    letters: dict[str, str]
    """Row → letters, from the best mean down. Rows that share one do not differ significantly."""
    p_values: Mapping[tuple[str, str], float]
    """Two rows, in matrix order → p-value of their difference, adjusted for all pairs."""
    least: float = 0.0
    """The smallest adjusted p-value that permutations of a corpus metric can give; 0 elsewhere."""
    paired: bool = True
    """Whether rows were compared by example, or by their shares alone."""

    @property
    def pairs(self) -> int:
        """Size of the family that Holm's correction covers."""
        return len(self.p_values)


def ties(
    sides: Sequence[RowScores],
    metric: str,
    *,
    higher_is_better: bool | None,
    labels: Sequence[str] = (),
) -> Ties | None:
    """The tie groups of ``sides`` on ``metric``.

    None if there are too few or too many rows, if their examples differ, or if the metric's
    direction is not declared: letters follow the order of the means.
    """
    if higher_is_better is None:
        return None
    if sides and all(side.share for side in sides):
        return _unpaired(sides, higher_is_better=higher_is_better)
    if not 2 <= len(sides) <= MAX_ROWS:
        return None
    record = find(metric)
    corpus = record.corpus if record and isinstance(record.corpus, PairedCorpus) else None
    if record and record.corpus and not (corpus and labels):
        return None  # no score per example, and no test of the corpus value
    name = example_metric(metric)
    scored = [_ids(records, name) for side in sides for records in side.seeds.values()]
    # A letter is a statement about all pairs at once; with other examples in some of them it would
    # compare unequal tests.
    if not scored[0] or any(ids != scored[0] for ids in scored):
        return None
    order = sorted(scored[0])
    table = {side.name: _scores(side, name, order) for side in sides}
    pairs = list(itertools.combinations([side.name for side in sides], 2))
    by_name = {side.name: side for side in sides}
    groups = _groups(sides[0], order)
    swaps = max(SWAPS, SWAPS_PER_PAIR * len(pairs))
    p_values = [
        _corpus_p(corpus, (by_name[a], by_name[b]), order, labels, swaps)
        if corpus
        else _mean_p(_differences(table[a], table[b]), groups)
        for a, b in pairs
    ]
    means = {name: _mean(scores) for name, scores in table.items()}
    ranked = sorted(means, key=lambda name: means[name], reverse=higher_is_better)
    permuted = corpus and all(len(side.seeds) == 1 for side in sides)
    least = len(pairs) / (swaps + 1) if permuted else 0.0
    adjusted = dict(zip(pairs, holm(p_values), strict=True))
    return Ties(_letters(ranked, adjusted), adjusted, least)


def _letters(ranked: Sequence[str], adjusted: Mapping[tuple[str, str], float]) -> dict[str, str]:
    return tie_groups(ranked, [pair for pair, p in adjusted.items() if p <= ALPHA])


def _unpaired(sides: Sequence[RowScores], *, higher_is_better: bool) -> Ties | None:
    """Ties of shares without records: a two-proportion score test for each pair, Holm."""
    if not 2 <= len(sides) <= MAX_UNPAIRED_ROWS:
        return None
    shares = {side.name: side.share for side in sides if side.share}
    pairs = list(itertools.combinations(shares, 2))
    p_values = [two_proportions(*shares[a], *shares[b]) for a, b in pairs]
    ranked = sorted(shares, key=lambda name: shares[name], reverse=higher_is_better)
    adjusted = dict(zip(pairs, holm(p_values), strict=True))
    return Ties(_letters(ranked, adjusted), adjusted, paired=False)


def _ids(records: Records, metric: str) -> set[str]:
    """The examples that have a score; one without a gold number has none."""
    return {i for i, record in records.items() if metric in record["scores"]}


def _groups(side: RowScores, order: Sequence[str]) -> list[str]:
    records = next(iter(side.seeds.values()))
    return [records[i].get("group") or i for i in order]


def _scores(side: RowScores, name: str, order: Sequence[str]) -> dict[int | None, Floats]:
    """Scores of the examples by seed; for a corpus metric, those of its per-example metric."""
    return {
        seed: np.array([records[i]["scores"][name] for i in order])
        for seed, records in side.seeds.items()
    }


def _mean(scores: Mapping[int | None, Floats]) -> float:
    return float(np.mean(list(scores.values())))


def _differences(first: Mapping[int | None, Floats], second: Mapping[int | None, Floats]) -> Floats:
    """Second minus first, examples × paired seeds."""
    return np.stack([after - before for before, after in seed_pairs(first, second)], axis=1)


def _mean_p(differences: Floats, groups: Sequence[str]) -> float:
    """Two-sided p: McNemar for right or wrong, else a t-test with clustered standard error.

    With several seeds it is the larger of the value over examples and that of the crossed design.
    A t-test, not `sign_flip`: there may be 1,770 pairs.
    """
    d = differences.mean(axis=1)
    seeds = differences.shape[1]
    crossed = crossed_difference(differences, clusters=groups).p_value if seeds > 1 else 0.0
    clusters = len(set(groups))
    if clusters == len(d) and np.isin(d, (-1.0, 0.0, 1.0)).all():
        return max(crossed, mid_p_mcnemar(int((d > 0).sum()), int((d < 0).sum())))
    if clusters < 2:
        return 1.0
    return max(crossed, clustered_t_p(d.tolist(), groups))


def _corpus_p(
    corpus: PairedCorpus,
    sides: tuple[RowScores, RowScores],
    order: Sequence[str],
    labels: Sequence[str],
    resamples: int,
) -> float:
    groups = repeating(_groups(sides[0], order))
    first, second = (
        {seed: [records[i] for i in order] for seed, records in side.seeds.items()}
        for side in sides
    )
    return corpus.p_value(seed_pairs(first, second), labels, clusters=groups, resamples=resamples)
