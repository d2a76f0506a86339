"""Examples grouped by their gold label and predictions, so that resamples are counts of groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.draws import Floats
from harness.statistics.resampling import cluster_codes


class Cells(NamedTuple):
    """Examples grouped by their distinct combination of gold label and predictions."""

    of_example: NDArray[np.intp]
    """Cell of each example, shape (n,)."""
    counts: Floats
    """Examples in each cell, shape (cells,)."""
    designs: tuple[Floats, ...]
    """One per variant: what a cell adds to gold, predicted and hit counts, (cells, 3 labels)."""


def by_cluster(cells: Cells, clusters: Sequence[Hashable]) -> Floats:
    """How many examples of each cell a cluster holds, (clusters, cells)."""
    size = len(cells.counts)
    codes = cluster_codes(clusters, len(cells.of_example))
    groups = int(codes.max()) + 1
    flat = np.bincount(codes * size + cells.of_example, minlength=groups * size)
    return flat.reshape(groups, size).astype(np.float64)


def cells_of(
    gold: Sequence[Hashable], variants: Sequence[Sequence[Hashable]], labels: Sequence[Hashable]
) -> Cells:
    """The examples of ``variants`` as cells, over exactly ``labels``; others count as a miss.

    Raises:
        ValueError: lengths differ, fewer than two examples, or a gold label is not declared.
    """
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
    return Cells(np.ravel(inverse), counts.astype(np.float64), tuple(designs))
