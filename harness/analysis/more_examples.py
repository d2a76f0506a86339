"""How many more examples would decide a difference that is undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.difference import Delta
from harness.analysis.family import ALPHA
from harness.statistics import CrossedDifference, detectable_mean_gap, sign_flip_units

FACTOR = 100
"""Most times the present number of examples that are still named as a way to decide."""
LEAST = 0.0005
"""Smaller differences would be written as ±0.000: none was seen."""


@dataclass(frozen=True)
class Spread:
    """What the error of a mean difference is made of."""

    examples: int
    """Independent examples, or groups of them."""
    rows: int
    """Examples, where a group holds several."""
    per_example: float
    """Variance that more examples average out: this, over their number, is in the mean's."""
    between_trainings: float
    """Variance of the mean that stays, however many examples there are."""

    @classmethod
    def of(cls, found: CrossedDifference, rows: int) -> Spread:
        """The parts of ``found``: Var(mean) = seed / s + (example + residual / s) / n."""
        return cls(
            found.examples, rows,
            found.example_variance + (found.residual_variance or 0.0) / found.seeds,
            (found.seed_variance or 0.0) / found.seeds,
        )  # fmt: skip


def more_examples(
    delta: Delta, spread: Spread, *, margin: float = 0.0, comparisons: int = 1
) -> int | None:
    """Further examples that would show ``delta``, if it is the true one, in 80% of cases.

    None if it is decided, or if no realistic number would: it is too small, or it is the noise
    between trainings that hides it.

    Args:
        delta: The difference as this test sees it.
        spread: What its error is made of.
        margin: The smallest difference that matters.
        comparisons: How many the level of 5% is shared by. Bonferroni's share, the strictest that
            Holm's correction can ask for: a promise of fewer examples could be broken.
    """
    beyond = abs(delta.delta) - margin
    below_noise = abs(delta.delta) <= delta.noise_floor or delta.higher_is_better is None
    if delta.verdict != "undecided" or abs(delta.delta) < LEAST or beyond <= 0 or below_noise:
        return None
    alpha = ALPHA / comparisons
    wanted = (beyond / detectable_mean_gap(1, 1.0, alpha=alpha)) ** 2
    left = wanted - spread.between_trainings
    if left <= 0:
        return None
    needed = max(sign_flip_units(alpha), math.ceil(spread.per_example / left))
    more = needed - spread.examples
    if not 0 < more <= FACTOR * spread.examples:
        return None
    return math.ceil(more * spread.rows / spread.examples)
