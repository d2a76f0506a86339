import numpy as np
import pytest
import scipy.stats as ss

from harness.statistics import bca, clustered_t, paired_difference, wilson
from harness.statistics.paired import mid_p_mcnemar


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (35, 50), (50, 50), (1, 7)])
def test_wilson_equals_scipy(hits, n):
    wanted = ss.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((wanted.low, wanted.high))


def test_bca_is_close_to_scipy():
    x = np.random.default_rng(3).exponential(size=80)
    wanted = ss.bootstrap((x,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert bca(x.tolist()) == pytest.approx((wanted.low, wanted.high), rel=0.02)


def test_a_clustered_interval_with_clusters_of_one_is_the_t_interval():
    x = np.random.default_rng(5).normal(size=40)
    wanted = ss.ttest_1samp(x, 0).confidence_interval()
    assert clustered_t(x.tolist(), range(40)) == pytest.approx((wanted.low, wanted.high))


def test_repeated_examples_widen_a_clustered_interval():
    x = np.random.default_rng(5).normal(size=30)
    thrice, codes = np.repeat(x, 3).tolist(), np.repeat(np.arange(30), 3).tolist()
    naive, clustered = (
        clustered_t(thrice, range(90)), clustered_t(thrice, codes)
    )  # fmt: skip
    assert clustered.high - clustered.low > 1.5 * (naive.high - naive.low)


def test_intervals_of_a_mean_cover_the_truth():
    rng = np.random.default_rng(11)
    hits = 0
    for k in range(300):
        low, high = bca(rng.exponential(size=60).tolist(), resamples=1000, seed=k)
        hits += low <= 1.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_mid_p_mcnemar_is_the_exact_value_less_half_the_point():
    exact = ss.binomtest(3, 13).pvalue
    assert mid_p_mcnemar(10, 3) == pytest.approx(exact - ss.binom.pmf(3, 13, 0.5))


def test_a_paired_difference_counts_flips():
    found = paired_difference([0, 0, 1, 1, 0], [1, 1, 1, 0, 0])
    assert (found.won, found.lost, found.tied, found.test) == (2, 1, 2, "mid-p McNemar")


def test_no_change_is_no_certainty_that_nothing_ever_changes():
    found = paired_difference([0.2, 0.4, 0.1], [0.2, 0.4, 0.1])
    assert (found.delta, found.p_value) == (0, 1)
    assert found.low == -found.high < 0  # three examples are no proof that none ever changes
