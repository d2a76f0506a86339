import numpy as np
import pytest
import scipy.stats as ss

from harness.statistics import crossed_difference


def _null(rng, examples=100, seeds=3, seed_sd=0.15):
    """Differences with true mean 0: example, seed and residual noise."""
    return (
        rng.normal(0, 0.5, (examples, 1))
        + rng.normal(0, seed_sd, (1, seeds))
        + rng.normal(0, 0.5, (examples, seeds))
    )


def test_false_positives_stay_near_5_percent_where_an_example_only_test_exceeds_15():
    rng = np.random.default_rng(7)
    crossed = examples_only = 0
    for _ in range(1000):
        d = _null(rng)
        crossed += crossed_difference(d).p_value <= 0.05
        examples_only += ss.ttest_1samp(d.mean(axis=1), 0).pvalue <= 0.05
    assert 0.01 <= crossed / 1000 <= 0.07
    assert examples_only / 1000 > 0.15


@pytest.mark.parametrize("seed_sd", [0.0, 0.03, 0.06])
def test_false_positives_stay_low_with_little_seed_noise(seed_sd):
    rng = np.random.default_rng(8)
    hits = sum(crossed_difference(_null(rng, seed_sd=seed_sd)).p_value <= 0.05 for _ in range(800))
    assert 0.01 <= hits / 800 <= 0.07


def test_components_are_recovered():
    rng = np.random.default_rng(9)
    found = [crossed_difference(_null(rng, 80, 6)) for _ in range(300)]
    assert np.mean([f.example_variance for f in found]) == pytest.approx(0.25, rel=0.05)
    assert np.mean([f.seed_variance for f in found]) == pytest.approx(0.0225, rel=0.12)
    assert np.mean([f.residual_variance for f in found]) == pytest.approx(0.25, rel=0.05)


def test_the_interval_and_the_p_value_agree():
    rng = np.random.default_rng(10)
    for shift in (0.0, 0.1, 0.2, 0.3):
        found = crossed_difference(_null(rng) + shift)
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_pure_seed_noise_is_the_t_test_over_seeds():
    seeds = np.array([0.1, 0.3, 0.2, 0.5])
    found = crossed_difference(np.tile(seeds, (50, 1)))
    assert found.p_value == pytest.approx(ss.ttest_1samp(seeds, 0).pvalue)
    assert found.degrees_of_freedom == pytest.approx(3)
    assert found.per_seed == pytest.approx(seeds)


def test_one_seed_leaves_training_noise_unknown():
    d = np.random.default_rng(11).normal(size=(40, 1))
    found = crossed_difference(d)
    assert (found.seeds, found.seed_variance) == (1, None)
    assert (found.low, found.high) == pytest.approx(
        ss.ttest_1samp(d[:, 0], 0).confidence_interval()
    )


def test_no_change_at_all_is_no_evidence():
    found = crossed_difference(np.zeros((5, 3)))
    assert (found.delta, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("d", [[[1.0]], [[1.0], [float("nan")]], [1.0, 2.0]])
def test_unusable_differences_are_refused(d):
    with pytest.raises(ValueError, match="examples x seeds"):
        crossed_difference(d)


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(14)
    found = [crossed_difference(_null(rng, seeds=5) + 0.2) for _ in range(1000)]
    assert 0.93 <= np.mean([f.low <= 0.2 <= f.high for f in found]) <= 0.99


def test_clusters_of_one_change_nothing():
    d = _null(np.random.default_rng(15))
    assert crossed_difference(d, clusters=range(100)) == crossed_difference(d)


def test_repeated_examples_in_clusters_add_no_evidence():
    d = _null(np.random.default_rng(16), examples=40) + 0.1
    once, tripled = crossed_difference(d), np.repeat(d, 3, axis=0)
    whole = crossed_difference(tripled, clusters=np.repeat(np.arange(40), 3).tolist())
    assert (whole.delta, whole.low, whole.high) == pytest.approx((once.delta, once.low, once.high))
    naive = crossed_difference(tripled)
    assert naive.high - naive.low < whole.high - whole.low


def test_with_one_seed_clusters_give_the_clustered_t_interval():
    from harness.statistics import clustered_t

    rng = np.random.default_rng(17)
    groups = rng.integers(0, 25, 80).tolist()
    d = rng.normal(0.1, 1, 80) + rng.normal(0, 1, 25)[groups]
    found = crossed_difference(d[:, None], clusters=groups)
    assert (found.low, found.high) == pytest.approx(clustered_t(d.tolist(), groups), rel=1e-6)


def test_clustered_examples_crossed_with_seeds_cover_the_truth():
    rng = np.random.default_rng(18)
    groups = np.repeat(np.arange(40), 4)
    hits = 0
    for _ in range(800):
        d = 0.2 + rng.normal(0, 0.4, 40)[groups][:, None] + _null(rng, 160, 5, 0.1)
        found = crossed_difference(d, clusters=groups.tolist())
        hits += found.low <= 0.2 <= found.high
    assert 0.93 <= hits / 800 <= 0.98
