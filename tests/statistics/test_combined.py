"""Means over data sets and of cost ratios, against SciPy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.statistics import Estimate, fixed_effect, mean_ratio, random_effect


def estimate(values):
    return Estimate(float(np.mean(values)), float(stats.sem(values)), len(values) - 1.0)


def test_a_fixed_effect_of_two_is_welchs_test():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.4, 1, 12), rng.normal(0.3, 3, 30)
    found = fixed_effect([estimate(first), estimate(second)])
    # the mean of two is half of first minus (minus second)
    welch = stats.ttest_ind(first, -second, equal_var=False)
    low, high = welch.confidence_interval()
    assert found.freedom == pytest.approx(welch.df)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert (2 * found.low, 2 * found.high) == pytest.approx((low, high))


def test_a_random_effect_is_a_t_test_of_the_estimates():
    values = [0.2, -0.1, 0.5, 0.3]
    found = random_effect([Estimate(value, 0.01, 30.0) for value in values])
    expected = stats.ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_a_random_effect_is_never_narrower_than_the_fixed_one():
    agreeing = [Estimate(0.2, 0.3, 40.0) for _ in range(4)]
    fixed, random = fixed_effect(agreeing), random_effect(agreeing)
    assert random.low <= fixed.low
    assert random.high >= fixed.high
    assert random.p_value >= fixed.p_value


def test_two_data_sets_have_no_random_effect():
    assert random_effect([Estimate(0.2, 0.1, 9.0)] * 2) is None


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_intervals_over_data_sets_cover_what_they_name(spread):
    """The fixed effect covers the mean of these data sets, the random one that of all."""
    rng = np.random.default_rng(8)
    covered = {"fixed": 0, "random": 0}
    runs = 600
    for _ in range(runs):
        truths = rng.normal(0.3, spread, 4)
        samples = [
            rng.normal(truth, 1, n) for truth, n in zip(truths, (6, 10, 20, 40), strict=True)
        ]
        estimates = [estimate(sample) for sample in samples]
        fixed, random = fixed_effect(estimates), random_effect(estimates)
        covered["fixed"] += fixed.low <= truths.mean() <= fixed.high
        covered["random"] += random.low <= 0.3 <= random.high
    assert 0.93 <= covered["fixed"] / runs <= 0.975
    assert covered["random"] / runs >= 0.93


def test_a_mean_ratio_is_a_t_interval_of_logarithms():
    values = {("a", "d", 0): 2.0, ("b", "d", 0): 2.5, ("c", "d", 0): 1.9}
    found = mean_ratio(values)
    expected = stats.ttest_1samp(np.log(list(values.values())), 0).confidence_interval()
    assert found.ratio == pytest.approx(stats.gmean(list(values.values())))
    assert (math.log(found.low), math.log(found.high)) == pytest.approx(tuple(expected))
    assert (found.n, found.level) == (3, 0)


RATIOS = {
    "seeds of one variant are no variants": (
        {("a", "d", 0): 2.0, ("a", "d", 1): 8.0, ("b", "d", 0): 4.0, ("b", "d", 1): 4.0}, 2, 0,
    ),
    "one variant: its data sets": ({("a", "d", 0): 2.0, ("a", "e", 0): 8.0}, 2, 1),
    "one variant and data set: its seeds": ({("a", "d", 0): 2.0, ("a", "d", 1): 8.0}, 2, 2),
    "a single pair": ({("a", "d", 0): 4.0}, 1, -1),
}  # fmt: skip


@pytest.mark.parametrize("case", RATIOS)
def test_a_mean_ratio_counts_what_is_independent(case):
    values, n, level = RATIOS[case]
    found = mean_ratio(values)
    assert (found.n, found.level) == (n, level)
    assert found.ratio == pytest.approx(4.0)
    assert (found.low is None) == (n == 1)


def test_a_mean_ratio_averages_from_the_inside_out():
    """A variant with many seeds weighs no more than one with a single seed."""
    values = {("a", "d", seed): 2.0 for seed in range(9)} | {("b", "d", 0): 8.0}
    assert mean_ratio(values).ratio == pytest.approx(4.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="positive and finite"):
        mean_ratio({("a",): value})
