"""Estimates of several data sets as one, and the mean ratio of a cost with its interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from harness.statistics.draws import Floats

K = TypeVar("K", bound=tuple[Hashable, ...])
FEWEST_RANDOM = 3
"""Fewest data sets for a random effect.

Two leave one degree of freedom: the interval is 12.7 standard errors wide and says nothing.
"""


class Estimate(NamedTuple):
    """An estimate with the error that its interval and p-value are made of."""

    value: float
    error: float
    """Its standard error."""
    freedom: float
    """Degrees of freedom of the standard error."""


class Combined(NamedTuple):
    """A mean of estimates."""

    delta: float
    low: float
    high: float
    p_value: float
    error: float
    freedom: float


def fixed_effect(estimates: Sequence[Estimate], confidence: float = 0.95) -> Combined:
    """The mean over exactly these data sets, each with the same weight.

    Equal weights keep the question clear ("on average over these four") and do not depend on
    standard errors that a few seeds estimate badly, as inverse-variance weights do. The variance
    of the mean is Σ error² / k², with Welch's and Satterthwaite's degrees of freedom.

    Raises:
        ValueError: there is no estimate.
    """
    if not estimates:
        raise ValueError("no estimate to combine")
    errors = np.array([each.error for each in estimates])
    freedom = np.array([each.freedom for each in estimates])
    total = float(np.sum(errors**2))
    delta = float(np.mean([each.value for each in estimates]))
    squares = float(np.sum(errors**4 / freedom))
    df = total**2 / squares if squares > 0 else float(freedom.min())
    return _by_t(delta, math.sqrt(total) / len(estimates), df, confidence)


def random_effect(estimates: Sequence[Estimate], confidence: float = 0.95) -> Combined | None:
    """The mean over the data sets that these were drawn from; None for fewer than three.

    A t interval of the estimates themselves (k - 1 degrees of freedom): their spread holds both
    the differences between data sets and each one's own error, so no variance component has to be
    guessed. It is never narrower than the interval of `fixed_effect`: estimates that agree by
    chance would otherwise claim more than the examples do (Knapp and Hartung 2003, as modified by
    Röver, Knapp and Friede 2015).
    """
    if len(estimates) < FEWEST_RANDOM:
        return None
    values = np.array([each.value for each in estimates])
    fixed = fixed_effect(estimates, confidence)
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    found = _by_t(float(values.mean()), max(spread, fixed.error), len(values) - 1.0, confidence)
    low, high = min(found.low, fixed.low), max(found.high, fixed.high)
    return found._replace(low=low, high=high, p_value=max(found.p_value, fixed.p_value))


def _by_t(delta: float, error: float, freedom: float, confidence: float) -> Combined:
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(delta) / error)) if error > 0 else float(delta == 0)
    return Combined(delta, delta - half, delta + half, p, error, freedom)


class MeanRatio(NamedTuple):
    """A geometric mean of ratios."""

    ratio: float
    low: float | None
    """Lower end of its 95% interval; None if nothing was repeated."""
    high: float | None
    n: int
    """How many things the interval counts as independent."""
    level: int
    """Which part of the keys they are, from 0; -1 with a single one."""


def mean_ratio(ratios: Mapping[K, float], confidence: float = 0.95) -> MeanRatio | None:
    """The geometric mean of ``ratios`` with a t interval of their logarithms; None without any.

    Keys are nested, the outermost part first: variant, data set, seed. Ratios are averaged from
    the inside out, and the interval counts the outermost part that has two values or more: what
    lies inside one of them shares its machine and its model, and is not independent.

    Raises:
        ValueError: a ratio is not positive and finite.
    """
    if not ratios:
        return None
    logs: dict[tuple[Hashable, ...], float] = {
        key: math.log(value) if value > 0 else math.nan for key, value in ratios.items()
    }
    if not all(map(math.isfinite, logs.values())):
        raise ValueError("a ratio must be positive and finite")
    depth = len(next(iter(logs)))
    varying = (place for place in range(depth) if len({key[place] for key in logs}) > 1)
    level = next(varying, -1)
    means = np.array(list(_averaged(logs, level + 1).values()))
    mean = float(means.mean())
    if len(means) < 2:
        return MeanRatio(math.exp(mean), None, None, len(means), level)
    found = _by_t(mean, _standard_error(means), len(means) - 1.0, confidence)
    low, high = math.exp(found.low), math.exp(found.high)
    return MeanRatio(math.exp(mean), low, high, len(means), level)


def _standard_error(values: Floats) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _averaged(
    values: Mapping[tuple[Hashable, ...], float], depth: int
) -> Mapping[tuple[Hashable, ...], float]:
    """``values`` with keys of the first ``depth`` parts: means of means, from the inside out."""
    while values and len(next(iter(values))) > depth:
        groups: dict[tuple[Hashable, ...], list[float]] = {}
        for key, value in values.items():
            groups.setdefault(key[:-1], []).append(value)
        values = {key: sum(group) / len(group) for key, group in groups.items()}
    return values
