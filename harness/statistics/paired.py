"""The difference of two variants on the same examples."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from harness.statistics.draws import Floats, dot, sign_draws, uniform_draws
from harness.statistics.importance import FEW_HITS, TILTED_RESAMPLES, rare_p, tilt_signs
from harness.statistics.intervals import bca, clustered_t
from harness.statistics.resampling import Interval, cluster_codes, repeating, too_many_to_draw
from harness.statistics.saddlepoint import flip_p

EXACT_FLIPS = 12
"""Up to this many non-zero differences, all 2^n sign patterns are enumerated: 4,096 of them.

That is fewer than the 10,000 random patterns drawn otherwise, and exact.
"""

SURELY_RARE = 0.005
"""Below this bound importance sampling is used at once.

It is half the p-value of `FEW_HITS` in 10,000 resamples: plain resampling would hit too seldom.
"""


class Difference(NamedTuple):
    """Fine-tuned minus baseline, over paired examples."""

    delta: float
    low: float
    """Lower end of the interval over examples, 95% unless another confidence was asked for."""
    high: float
    p_value: float
    test: str
    """`sign-flip of clusters` where they repeat, else `mid-p McNemar` for right or wrong, else
    `sign-flip`.
    """
    n: int
    won: int
    lost: int
    tied: int
    discordant: float = 0.0
    """Share of examples on which the two differ, 0 to 1."""
    effect_size: float | None = None
    """Cohen's d_z: mean over standard deviation of the differences; None where that is 0."""
    correlation: float | None = None
    """Pearson's r of the two scores over examples; None where one is constant."""


def paired_difference(
    baseline: Sequence[float],
    finetuned: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The mean difference with its interval: clustered t where clusters repeat, else BCa.

    Right-or-wrong scores without clusters get Agresti and Min's interval instead: with few or no
    discordant examples a bootstrap would claim a certainty that the examples do not have. So do
    other scores from 0 to 1 of which none differs, where clusters repeat as well: each cluster is
    then one example.

    The p-value follows: signs of whole clusters flipped where they repeat, else mid-p McNemar for
    right or wrong, else signs of examples.

    Raises:
        ValueError: the sequences differ in length or hold fewer than two pairs.
    """
    before, after = (np.asarray(v, dtype=np.float64) for v in (baseline, finetuned))
    if len(before) != len(after) or len(before) < 2:
        raise ValueError(f"need two or more pairs, got {len(before)} and {len(after)}")
    d = after - before
    won, lost = int(np.sum(d > 0)), int(np.sum(d < 0))
    # Tests and intervals go from the most to the least dependent data: repeated clusters make
    # examples dependent, so neither McNemar's test nor a bootstrap over examples is valid for them.
    binary = bool(np.isin(np.concatenate([before, after]), (0.0, 1.0)).all())
    shares = min(before.min(), after.min()) >= 0 and max(before.max(), after.max()) <= 1
    clusters = repeating(clusters)
    if clusters is not None:
        if shares and not d.any():
            # A t interval would have no width. Examples of a cluster may all change together, so
            # each cluster bounds what was not seen as one example does.
            low, high = agresti_min(0, 0, len(set(clusters)), confidence=confidence)
        else:
            low, high = clustered_t(d.tolist(), clusters, confidence=confidence)
        sums = np.bincount(cluster_codes(clusters, len(d)), weights=d)
        p, name = sign_flip(sums.tolist(), seed=seed), "sign-flip of clusters"
    elif binary:
        low, high = agresti_min(won, lost, len(d), confidence=confidence)
        p, name = mid_p_mcnemar(won, lost), "mid-p McNemar"
    elif shares and not d.any():
        # no example differs: a bootstrap would say that none ever does. Right-or-wrong scores vary
        # most of all within 0 to 1, so their interval holds for any such score.
        low, high = agresti_min(0, 0, len(d), confidence=confidence)
        p, name = 1.0, "sign-flip"
    else:
        low, high = bca(d.tolist(), confidence=confidence, seed=seed)
        p, name = sign_flip(d.tolist(), seed=seed), "sign-flip"
    return Difference(
        float(d.mean()), low, high, p, name, len(d), won, lost, len(d) - won - lost,
        (won + lost) / len(d), cohen_dz(d),
        correlation(before, after),
    )  # fmt: skip


def cohen_dz(differences: Floats) -> float | None:
    """Mean over standard deviation (n - 1) of paired differences (Cohen 1988)."""
    spread = float(np.std(differences, ddof=1))
    # equal differences can have a spread of rounding errors alone, which is not a spread
    return float(np.mean(differences)) / spread if spread > 1e-15 else None


def correlation(before: Floats, after: Floats) -> float | None:
    """Pearson's r; None where either side is constant."""
    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return None
    return float(np.corrcoef(before, after)[0, 1])


def agresti_min(won: int, lost: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The interval of a difference of paired proportions, half an example added to each cell.

    Agresti and Min (2005), "Simple improved confidence intervals for comparing matched
    proportions": the Wald interval of the 2 × 2 table with 0.5 added to its four counts.
    """
    from scipy.special import ndtri

    b, c, total = won + 0.5, lost + 0.5, n + 2.0
    centre = (b - c) / total
    error = np.sqrt((b + c) - (b - c) ** 2 / total) / total
    half = float(ndtri(0.5 + confidence / 2) * error)
    return Interval(max(-1.0, centre - half), min(1.0, centre + half))


def mid_p_mcnemar(won: int, lost: int) -> float:
    """The two-sided mid-p value of McNemar's test (Fagerland, Lydersen and Laake 2013).

    Twice the probability of so few, less that of exactly so few: the two cumulative ones below.
    """
    from scipy.special import betainc  # scipy.stats takes half a second and 50 MB to import

    n, smaller = won + lost, min(won, lost)
    if n == 0:
        return 1.0
    # the binomial distribution as a beta integral, which keeps all digits, unlike scipy's `bdtr`
    fewer = betainc(n - smaller + 1, smaller, 0.5) if smaller else 0.0
    return float(min(1.0, betainc(n - smaller, smaller + 1, 0.5) + fewer))


def sign_flip(differences: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> float:
    """The two-sided p-value of a mean under flips of each difference's sign (Fisher 1935).

    All patterns are enumerated up to `EXACT_FLIPS` non-zero differences; beyond, the value is
    (hits + 1) / (resamples + 1) over random patterns (Phipson and Smyth 2010). Where fewer than
    `FEW_HITS` of them are as extreme as the observed mean, importance sampling gives the value.
    Where differences are `too_many_to_draw`, their saddlepoint does.
    """
    d = np.asarray(differences, dtype=np.float64)
    changed = d[d != 0]
    if len(changed) == 0:
        return 1.0
    # A sum in another order differs in its last bits. Without the tolerance a pattern that equals
    # the observed one would count as less extreme, and p would come out too small.
    bound = abs(float(d.sum())) - 1e-12 * float(np.abs(d).sum())
    if len(changed) <= EXACT_FLIPS:
        patterns = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1) @ changed) >= bound))
    if too_many_to_draw(changed):
        return flip_p(changed)
    # Hoeffding (1963): the p-value is at most 2 exp(-S² / 2Σd²).
    if 2 * np.exp(-(bound**2) / (2 * dot(d, d))) <= SURELY_RARE:
        return _rare_flip(d, bound, seed)
    # Differences of 0 stay in: all contrasts of one size then share their draws (`draws`).
    sums = np.concatenate([kept @ d for kept in sign_draws(len(d), resamples, seed)])
    hits = int(np.sum(np.abs(2 * sums - d.sum()) >= bound))
    return (hits + 1) / (resamples + 1) if hits >= FEW_HITS else _rare_flip(d, bound, seed)


def _rare_flip(differences: Floats, bound: float, seed: int) -> float:
    effects = differences * np.sign(differences.sum())
    observed = float(effects.sum())
    signs = tilt_signs(effects, observed)
    uniforms = uniform_draws(len(effects), TILTED_RESAMPLES, seed)
    # kept minus flipped = 2 × kept - all
    sums = np.concatenate([(u < signs.keep) @ effects for u in uniforms]) * 2 - observed
    return rare_p(signs, observed, sums, bound)
