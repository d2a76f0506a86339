"""Extreme quantiles of a bootstrap mean, without resamples.

Correcting an interval for hundreds of others needs quantiles so extreme that hardly one of 10,000
resamples lies beyond them. The saddlepoint approximation gives the tail of the bootstrap
distribution from the sample's cumulants, to about 1% of the tail (Davison and Hinkley 1988; the
tail in Barndorff-Nielsen's form).
"""

from __future__ import annotations

import numpy as np

from harness.statistics.draws import Floats, dot
from harness.statistics.importance import tilt_signs
from harness.statistics.resampling import Interval

STEEPEST = 500.0
"""Largest exponent of a tilted weight: beyond exp(500) only the largest value has any weight."""
NEAR_NOTHING = 0.02
"""Below this many standard errors the normal distribution gives a p-value to 1e-5, while the two
parts of the saddlepoint's score lose their digits: both go to 0, and their ratio is wanted."""


def bca_mean(values: Floats, confidence: float) -> Interval:
    """The BCa interval of a mean, its bias and acceleration both a sixth of the mean's skewness."""
    from scipy.special import ndtri

    y = values - values.mean()
    a = float(np.sum(y**3) / (6 * np.sum(y**2) ** 1.5))
    ends = a + np.array([-1.0, 1.0]) * float(ndtri(0.5 + confidence / 2))
    low, high = (mean_quantile(values, float(a + z / max(1 - a * z, 1e-6))) for z in ends)
    return Interval(low, high)


def mean_quantile(values: Floats, z: float) -> float:
    """The quantile at normal score ``z``, well away from 0, of means of resamples of ``values``."""
    centre, sign = float(values.mean()), (1.0 if z > 0 else -1.0)
    y = sign * (values - centre)
    spread = float(y.std())
    scaled = y / spread
    low, high = 0.0, 1e-3
    # The normal score rises with the tilt: bracket the wanted one, then bisect. 40 halvings reach
    # the precision of a float from any bracket that the loop can leave.
    while _tilted(scaled, high)[1] < abs(z):
        low, high = high, 1.3 * high
        if high * float(scaled.max()) > STEEPEST:
            return centre + sign * float(y.max())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _tilted(scaled, middle)[1] < abs(z) else (low, middle)
    return centre + sign * spread * _tilted(scaled, high)[0]


def flip_p(differences: Floats) -> float:
    """The two-sided p-value of a mean under flips of each difference's sign.

    For thousands of differences of many sizes: it is then nearer to the enumeration of all patterns
    than any number of patterns that can be drawn. Few sizes make steps, which it does not see.
    """
    from scipy.special import ndtr

    effects = differences * np.sign(differences.sum())
    observed = float(effects.sum())
    score = observed / float(np.sqrt(dot(differences, differences)))
    if score < NEAR_NOTHING:
        return min(1.0, 2 * float(ndtr(-score)))
    signs = tilt_signs(effects, observed)
    means = np.tanh(signs.tilt * effects)
    reached = dot(effects, means)  # the observed sum, or a little less of the largest
    w = np.sqrt(2 * max(signs.tilt * reached - signs.cumulant, 1e-300))
    v = signs.tilt * np.sqrt(max(dot(effects**2, 1 - means**2), 1e-300))
    return min(1.0, 2 * float(ndtr(-(w + np.log(v / w) / w))))


def _tilted(y: Floats, tilt: float) -> tuple[float, float]:
    """The mean of the sample under ``tilt``, and a bootstrap mean's normal score there."""
    n, powers = len(y), tilt * y
    top = float(powers.max())  # taken out of the exponents, which would overflow
    weights = np.exp(powers - top)
    total = float(weights.sum())
    mean = dot(weights, y) / total
    variance = max(dot(weights, (y - mean) ** 2) / total, 1e-300)
    cumulant = top + np.log(total / n)
    w = np.sqrt(2 * n * max(tilt * mean - cumulant, 1e-300))
    v = tilt * np.sqrt(n * variance)
    return mean, float(w + np.log(v / w) / w)
