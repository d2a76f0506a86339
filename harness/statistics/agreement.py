"""How far two judges agree on the same cases, beyond what chance would give."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from harness.counting import counted
from harness.statistics.draws import Floats
from harness.statistics.intervals import wilson
from harness.statistics.resampling import Interval

RESAMPLES = 10_000


class Agreement(NamedTuple):
    """Agreement of two judges."""

    n: int
    share: float
    """Of the cases that both put into the same class."""
    share_interval: Interval
    """Wilson's, 95%."""
    kappa: float | None
    """Cohen's (1960); None where both put every case into one class: chance agrees, too."""
    kappa_interval: Interval | None
    """The 95% percentile interval of a bootstrap over cases."""


def agreement(
    first: Sequence[Hashable], second: Sequence[Hashable], *, seed: int = 0
) -> Agreement | None:
    """How far ``first`` and ``second`` agree, case by case; None without cases.

    Raises:
        ValueError: the two are not of one length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {counted(len(second), 'case')} cannot be compared")
    if not first:
        return None
    classes = {name: k for k, name in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(classes), len(classes)))
    for one, other in zip(first, second, strict=True):
        table[classes[one], classes[other]] += 1
    n, same = len(first), int(np.trace(table))
    kappa = _kappas(table[None])[0]
    known = bool(np.isfinite(kappa))
    return Agreement(
        n, same / n, wilson(same, n), float(kappa) if known else None,
        _interval(table, seed) if known else None,
    )  # fmt: skip


def _interval(table: Floats, seed: int) -> Interval | None:
    """Of cases drawn with replacement. Draws of one class alone have no kappa and are left out."""
    n = int(table.sum())
    drawn = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=RESAMPLES)
    kappas = _kappas(drawn.reshape(RESAMPLES, *table.shape).astype(np.float64))
    kappas = kappas[np.isfinite(kappas)]
    low, high = np.quantile(kappas, [0.025, 0.975])
    return Interval(float(low), float(high))


def _kappas(tables: Floats) -> Floats:
    """Cohen's kappa of each of ``tables``; NaN where chance agrees on every case."""
    n = tables.sum(axis=(1, 2))
    seen = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)
    return found
