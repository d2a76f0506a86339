import numpy as np
import pytest
import scipy.stats as ss
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import (
    mid_p_mcnemar,
    paired_difference,
    sign_flip,
)
from harness.statistics.power import sign_flip_floor

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 0), (10, 3), (7, 7), (2, 30)])
def test_mid_p_mcnemar_is_scipys_binomial_test_less_half_the_point(won, lost):
    n = won + lost
    exact = ss.binomtest(won, n).pvalue if n else 1.0
    point = ss.binom.pmf(won, n, 0.5) if won != lost else 0.0  # a tie is the middle: p is 1
    assert mid_p_mcnemar(won, lost) == pytest.approx(exact - point)


def test_mid_p_mcnemar_gives_the_published_value():
    """Fagerland, Lydersen and Laake 2013, their example with 1 and 7 discordant pairs."""
    assert mid_p_mcnemar(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_sign_flip_of_few_differences_is_scipys_exact_test():
    d = np.random.default_rng(1).normal(0.4, 1, 10)
    wanted = ss.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(d.tolist()) == pytest.approx(wanted.pvalue)


def test_sign_flip_of_many_differences_is_near_the_t_test_and_never_0():
    d = np.random.default_rng(2).normal(0.15, 1, 200)
    assert sign_flip(d.tolist()) == pytest.approx(ss.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert 0 < sign_flip([1.0] * 40, resamples=999) < 1e-9


@pytest.mark.parametrize("seeds", range(2, 9))
def test_sign_flip_reaches_its_floor(seeds):
    assert sign_flip([0.1 * (k + 1) for k in range(seeds)]) == sign_flip_floor(seeds)


@settings(deadline=None, max_examples=40)
@given(SCORES)
def test_swapping_the_sides_mirrors_the_difference(pairs):
    before, after = zip(*pairs, strict=True)
    one, other = paired_difference(before, after), paired_difference(after, before)
    assert one.delta == pytest.approx(-other.delta)
    assert (one.won, one.lost, one.tied) == (other.lost, other.won, other.tied)
    assert one.low - 1e-9 <= one.high
    assert 0 < one.p_value <= 1


def test_effect_sizes_and_correlation_follow_their_formulas():
    rng = np.random.default_rng(3)
    before = rng.random(50)
    after = 0.7 * before + 0.3 * rng.random(50)
    found = paired_difference(before.tolist(), after.tolist())
    d = after - before
    assert found.effect_size == pytest.approx(ss.ttest_1samp(d, 0).statistic / np.sqrt(50))
    assert found.correlation == pytest.approx(ss.pearsonr(before, after).statistic)
    assert found.discordant == 1.0


def test_a_constant_side_has_no_correlation():
    assert paired_difference([1, 1, 1], [0, 1, 0]).correlation is None
    assert paired_difference([0, 0], [1, 1]).effect_size is None


def test_a_paired_interval_is_narrower_than_an_unpaired_one_when_scores_correlate():
    rng = np.random.default_rng(4)
    before = rng.random(100)
    after = before + rng.normal(0.02, 0.05, 100)
    found = paired_difference(before.tolist(), after.tolist())
    wide = ss.ttest_ind(after, before).confidence_interval()
    assert found.high - found.low < 0.5 * (wide.high - wide.low)


def test_equal_scores_from_0_to_1_are_no_certainty_either():
    found = paired_difference([0.25, 0.5, 0.75] * 4, [0.25, 0.5, 0.75] * 4)
    whole = paired_difference([1.0] * 12, [1.0] * 12)
    assert (found.low, found.high, found.p_value) == (whole.low, whole.high, 1.0)
    losses = paired_difference([2.5, 3.5] * 6, [2.5, 3.5] * 6)
    assert (losses.low, losses.high) == (0, 0)  # nothing bounds what an unseen loss may be


@pytest.mark.parametrize("scores", [[1.0] * 24, [0.25, 0.5, 0.75] * 8], ids=["shares", "scores"])
def test_clusters_without_a_difference_bound_what_was_not_seen_as_examples_do(scores):
    found = paired_difference(scores, scores, clusters=[k // 2 for k in range(24)])
    alone = paired_difference([1.0] * 12, [1.0] * 12)
    assert (found.low, found.high, found.p_value) == (alone.low, alone.high, 1.0)
    losses = [2.5, 3.5] * 12
    unbounded = paired_difference(losses, losses, clusters=[k // 2 for k in range(24)])
    assert (unbounded.low, unbounded.high) == (0, 0)  # nothing bounds what an unseen loss may be


def test_no_discordant_example_is_no_certainty():
    found = paired_difference([1.0] * 11, [1.0] * 11)
    assert found.delta == 0
    assert found.low < -0.1 < 0.1 < found.high


def test_agresti_min_is_the_wald_interval_of_the_padded_table():
    from harness.statistics import agresti_min

    low, high = agresti_min(20, 5, 100)
    # b = 20.5, c = 5.5, n = 102: (b - c) / n ± 1.96 sqrt(b + c - (b - c)² / n) / n
    assert low == pytest.approx(0.14706 - 0.09377, abs=1e-4)
    assert high == pytest.approx(0.14706 + 0.09377, abs=1e-4)


def test_a_clustered_p_value_keeps_its_level_where_one_of_examples_does_not():
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(30), 6)
    clustered = naive = 0
    for _ in range(400):
        d = rng.normal(0, 1, 30)[codes] + rng.normal(0, 1, 180)
        found = paired_difference([0.0] * 180, d.tolist(), clusters=codes.tolist())
        assert found.test == "sign-flip of clusters"
        clustered += found.p_value <= 0.05
        naive += sign_flip(d.tolist()) <= 0.05
    assert 0.02 <= clustered / 400 <= 0.08
    assert naive / 400 > 0.2


def test_right_or_wrong_in_clusters_is_tested_by_cluster():
    before, after = [0.0] * 24, [1.0] * 24
    alone = paired_difference(before, after)
    found = paired_difference(before, after, clusters=[k // 6 for k in range(24)])
    assert (alone.test, found.test) == ("mid-p McNemar", "sign-flip of clusters")
    assert alone.p_value < 1e-6
    assert found.p_value == sign_flip_floor(4)
