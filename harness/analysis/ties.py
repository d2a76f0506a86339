"""Which rows of a table tie: every pair compared on the same examples, Holm over the family.

A letter shared by two rows means that they are not shown to differ. Ranks would claim more than
the examples can carry.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.difference import Records, Seeds
from harness.analysis.family import ALPHA
from harness.analysis.seeds import seed_pairs
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
"""Above this many rows no tie groups are made: the family of pairs would find nothing."""
MAX_UNPAIRED_ROWS = 150
"""The same for rows without records, whose pairs are cheap."""
SWAPS, SWAPS_PER_PAIR = 2_000, 30
"""Permutations of a pair in a corpus metric: at least, and for each pair of the family. So many
pass Holm's first step."""


@dataclass(frozen=True)
class Side:
    """One row's records by seed, averaged within an example by the comparison."""

    name: str
    seeds: Seeds
    share: tuple[float, int] | None = None
    """A share of right answers and its number of examples, where no record is kept."""


@dataclass(frozen=True)
class Ties:
    """Tie groups of a table."""

    letters: dict[str, str]
    """Row → letters, in descending order of the mean; rows that share one are not told apart."""
    p_values: Mapping[tuple[str, str], float]
    """Two rows, in matrix order → the p-value of no difference, adjusted for all pairs."""
    least: float = 0.0
    """The least adjusted p-value that permutations (of a corpus metric) can give."""
    paired: bool = True
    """Whether the rows were compared example by example."""

    @property
    def pairs(self) -> int:
        """Size of the family that Holm's correction covers."""
        return len(self.p_values)


def ties(
    sides: Sequence[Side], metric: str, *, higher_is_better: bool | None, labels: Sequence[str] = ()
) -> Ties | None:
    """The tie groups of ``sides`` on ``metric``; None when they are too few, too many or differ.

    None too where nobody says which direction is better: letters follow the order of the means.
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
        return None  # no score per example, and nothing that compares the whole
    name = example_metric(metric)
    scored = [_ids(records, name) for side in sides for records in side.seeds.values()]
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


def _unpaired(sides: Sequence[Side], *, higher_is_better: bool) -> Ties | None:
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
    """The examples that have a score: a category may have no gold number."""
    return {i for i, record in records.items() if metric in record["scores"]}


def _groups(side: Side, order: Sequence[str]) -> list[str]:
    records = next(iter(side.seeds.values()))
    return [records[i].get("group") or i for i in order]


def _scores(side: Side, name: str, order: Sequence[str]) -> dict[int | None, Floats]:
    """Scores of the examples by seed; of a corpus metric those of its per-example metric."""
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

    Of several seeds it is the larger of that over examples and the one that crosses both.
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
    sides: tuple[Side, Side],
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
