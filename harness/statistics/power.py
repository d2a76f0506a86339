"""What a suite of a given size can detect, before any run."""

from __future__ import annotations

import math


def _z_sum(alpha: float, power: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2) + ndtri(power))


def detectable_mean_gap(n: int, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest mean paired difference found with `power`, in the unit of `sd`.

    Args:
        n: Examples.
        sd: Standard deviation of the paired differences.
        alpha: Two-sided level.
        power: Chance of finding a gap of the size given back.

    Raises:
        ValueError: n is not positive or sd is negative.
    """
    if n < 1 or sd < 0:
        raise ValueError(f"n must be positive and sd not negative, got {n} and {sd}")
    return _z_sum(alpha, power) * sd / math.sqrt(n)


def examples_needed(gap: float, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many paired examples find a mean difference of `gap` with `power`."""
    if gap <= 0:
        raise ValueError(f"gap must be positive, got {gap}")
    return max(2, math.ceil((_z_sum(alpha, power) * sd / gap) ** 2 - 1e-9))


def sign_flip_floor(seeds: int) -> float:
    """The smallest two-sided p-value an exact sign-flip test of so many seeds can give."""
    return min(1.0, 2.0 ** (1 - seeds))


def sign_flip_units(alpha: float) -> int:
    """The fewest differences whose signs can reach `alpha`: six for 0.05, two-sided."""
    return math.ceil(1 - math.log2(alpha) - 1e-9)  # rounding must not add one at 1/32
