import numpy as np
import pytest
import scipy.stats as ss

from harness.statistics import (
    bca,
    clustered_share,
    clustered_t,
    clustered_t_p,
    wilson,
)


def test_wilson_gives_the_known_values():
    assert [round(v, 3) for v in wilson(0, 50)] == [0.0, 0.071]
    assert [round(v, 2) for v in wilson(35, 50)] == [0.56, 0.81]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_too_few_or_unusable_values_are_refused(values):
    with pytest.raises(ValueError, match="needs"):
        bca(values)


def test_equal_values_give_a_point():
    assert bca([0.3] * 9) == (0.3, 0.3)


def test_one_cluster_and_missing_clusters_are_refused():
    with pytest.raises(ValueError, match="at least two clusters"):
        clustered_t([1.0, 2.0], ["a", "a"])
    with pytest.raises(ValueError, match="1 cluster for 2 examples"):
        clustered_t([1.0, 2.0], ["a"])


def test_few_distinct_values_give_scipys_interval():
    x = (np.random.default_rng(1).random(200) < 0.3).astype(float)
    wanted = ss.bootstrap((x,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert bca(x.tolist()) == pytest.approx((wanted.low, wanted.high), abs=0.006)


def test_the_same_seed_gives_the_same_interval():
    x = np.random.default_rng(3).random(60).tolist()
    assert bca(x, seed=4) == bca(x, seed=4) != bca(x, seed=5)


def test_clustered_intervals_cover_the_truth_where_naive_ones_do_not():
    rng = np.random.default_rng(12)
    codes = np.repeat(np.arange(50), 5)
    covered = naive = 0
    for _ in range(400):
        x = rng.normal(0, 1, 50)[codes] + rng.normal(0, 1, 250)
        low, high = clustered_t(x.tolist(), codes.tolist())
        covered += low <= 0 <= high
        naive += ss.ttest_1samp(x, 0).pvalue > 0.05
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.85


def test_wilson_covers_proportions():
    rng = np.random.default_rng(13)
    for share in (0.5, 0.7, 0.9):
        hits = rng.binomial(100, share, 4000)
        table = [wilson(k, 100) for k in range(101)]
        covered = np.mean([table[k].low <= share <= table[k].high for k in hits])
        assert 0.92 <= covered <= 0.97


def test_clusters_without_spread_claim_no_more_than_a_sign_flip_of_them():
    assert clustered_t_p([1, -1, 1, -1], ["a", "a", "b", "b"]) == 1
    assert clustered_t_p([0.3] * 3, "abc") == 0.25
    assert clustered_t_p([0.1] * 30, range(30)) < 1e-8


@pytest.mark.parametrize("right", range(13))
def test_a_clustered_share_stays_between_0_and_1(right):
    values = [1.0] * right + [0.0] * (12 - right)
    for size in (1, 2, 3, 6):
        found = clustered_share(values, [k // size for k in range(12)])
        assert 0 <= found.low <= right / 12 <= found.high <= 1
        assert found.low < found.high


def test_a_clustered_share_is_wilson_s_of_its_effective_examples():
    alone = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    doubled = [x for x in alone for _ in range(2)]
    groups = [k // 2 for k in range(16)]
    # a group of two equal examples says as much as one: n/(n-1) of the standard error aside
    assert clustered_share(doubled, groups) == pytest.approx(wilson(5, 8), abs=0.02)
    assert clustered_share([1.0] * 6, "aabbcc") == wilson(3, 3)
    assert clustered_share([0.0] * 6, "aabbcc") == wilson(0, 3)
