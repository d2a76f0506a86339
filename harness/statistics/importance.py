"""Small permutation p-values by importance sampling.

Plain random sign flips seldom reach a rare difference: at p = 0.0003, three of 10,000 do, and
Holm's correction multiplies the noise of those three. So the signs are drawn from a tilted
distribution whose mean is the observed sum (exponential tilting; Siegmund 1976). About half of its
patterns reach the observed sum, and each is weighted by its likelihood ratio, fair over tilted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.statistics.draws import Floats, dot

FEW_HITS = 100
"""With fewer hits the relative error of a plain permutation p-value exceeds 10%: 1/sqrt(hits)."""

TILTED_RESAMPLES = 2_000
"""Keep the relative error at 2 to 7% for p-values from 0.01 down to 1e-10 (measured)."""

REACH = 0.99
"""Largest mean that is aimed for, as a share of the largest possible sum.

The largest sum itself would need an infinite tilt: every sign kept with certainty.
"""


class TiltedSigns(NamedTuple):
    """A sign-flip distribution tilted so that its mean is the observed sum."""

    keep: Floats
    """Probability that each sign is kept, instead of 1/2."""
    tilt: float
    """The parameter of the exponential tilting."""
    cumulant: float
    """Cumulant generating function of the sum under fair flips, at `tilt`."""

    def weights(self, sums: Floats) -> Floats:
        """Likelihood ratios, fair over tilted, of patterns with these sums."""
        return np.asarray(np.exp(self.cumulant - self.tilt * sums))


def tilt_signs(effects: Floats, target: float) -> TiltedSigns:
    """The tilted distribution under which the signed sum of ``effects`` has the mean ``target``.

    Args:
        effects: What each sign adds to the sum when kept, and takes away when flipped.
        target: The observed sum, positive.
    """
    goal = min(target, REACH * float(np.abs(effects).sum()))
    tilt = goal / dot(effects, effects)
    # The mean, Σ |e| tanh(tilt |e|), is concave in the tilt and the start lies below the root, so
    # Newton's method approaches it from below and never overshoots. 60 only bounds the loop.
    for _ in range(60):
        means = np.tanh(tilt * effects)
        step = (goal - dot(effects, means)) / dot(effects**2, 1 - means**2)
        tilt += step
        if abs(step) <= 1e-9 * tilt:
            break
    powers = tilt * effects
    cumulant = float(np.sum(np.logaddexp(powers, -powers) - np.log(2)))  # Σ log cosh, no overflow
    return TiltedSigns(1 / (1 + np.exp(-2 * powers)), tilt, cumulant)


def rare_p(signs: TiltedSigns, observed: float, sums: Floats, bound: float) -> float:
    """The two-sided p-value of an observed sum, from sums drawn under ``signs``.

    The observed pattern counts as one more resample, which keeps the level (Harrison 2012).

    Args:
        signs: The distribution that the patterns were drawn from.
        observed: The observed sum.
        sums: Signed sums of the drawn patterns.
        bound: The smallest sum that counts as extreme as the observed one.
    """
    extreme = np.append(sums[sums >= bound], observed)
    # twice one tail: flipping every sign maps one tail of a sign-flip distribution on the other
    return min(1.0, 2 * float(np.sum(signs.weights(extreme))) / (len(sums) + 1))
