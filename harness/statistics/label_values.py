"""F1, precision and recall over labels, from counts: for many resamples at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.statistics.draws import Floats

LabelStatistic = Callable[[Floats], Floats]
"""Gold, predicted and hit counts by label, shape (..., 3 labels) → the values, shape (...)."""


def _ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, 0 where nothing is below, as scikit-learn's ``zero_division=0``."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def macro_f1(sums: Floats) -> Floats:
    """The mean of the labels' F1."""
    gold, predicted, hits = np.split(sums, 3, axis=-1)
    return np.asarray(_ratio(2 * hits, gold + predicted).mean(axis=-1))


def weighted_f1(sums: Floats) -> Floats:
    """The labels' F1 weighted by their gold counts."""
    gold, predicted, hits = np.split(sums, 3, axis=-1)
    weighted = (_ratio(2 * hits, gold + predicted) * gold).sum(axis=-1)
    return np.asarray(_ratio(weighted, gold.sum(axis=-1)))


def macro_precision(sums: Floats) -> Floats:
    """The mean of the labels' precision."""
    _, predicted, hits = np.split(sums, 3, axis=-1)
    return np.asarray(_ratio(hits, predicted).mean(axis=-1))


def macro_recall(sums: Floats) -> Floats:
    """The mean of the labels' recall."""
    gold, _, hits = np.split(sums, 3, axis=-1)
    return np.asarray(_ratio(hits, gold).mean(axis=-1))


LABEL_STATISTICS: dict[str, LabelStatistic] = {
    "f1_macro": macro_f1,
    "f1_weighted": weighted_f1,
    "precision_macro": macro_precision,
    "recall_macro": macro_recall,
}
"""Metric → its value from counts."""
