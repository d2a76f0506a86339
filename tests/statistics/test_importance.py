"""Small permutation p-values: those of full enumeration, with little Monte Carlo error."""

import numpy as np
import pytest

from harness.statistics import holm, sign_flip
from harness.statistics import importance as rare


def enumerated(d):
    """The sign-flip p-value over all 2^n patterns."""
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate([sums + value, sums - value])
    return np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)


def drawn(n, mean, kind="normal"):
    rng = np.random.default_rng(n)
    d = rng.normal(mean, 1, n)
    return np.round(3 * d) / 3 if kind == "thirds" else d


@pytest.mark.parametrize("kind", ["normal", "thirds"])
@pytest.mark.parametrize(("n", "mean"), [(14, 1.2), (18, 0.7), (20, 0.9), (20, 3.0)])
def test_rare_flips_have_the_p_value_of_all_patterns(n, mean, kind):
    d = drawn(n, mean, kind)
    exact = enumerated(d)
    assert exact < 0.01
    assert sign_flip(d) == pytest.approx(exact, rel=0.15)
    assert np.mean([sign_flip(d, seed=s) for s in range(40)]) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("family", [20, 160, 1000])
def test_holms_p_value_near_the_level_has_a_standard_error_of_at_most_half_a_point(family):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, 120)
    shifts = np.linspace(0.2, 0.6, 400)
    near = min(shifts, key=lambda s: abs(family * sign_flip(noise + s) - 0.05))
    others = [1.0] * (family - 1)
    found = [holm([sign_flip(noise + near, seed=s), *others])[0] for s in range(60)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.02)
    assert np.std(found) <= 0.005


def test_p_values_go_below_one_in_the_number_of_resamples():
    assert sign_flip([1.0] * 40) == pytest.approx(2.0**-39, rel=0.1)


def test_the_level_is_kept_where_p_values_are_small():
    rng = np.random.default_rng(2)
    found = np.array([sign_flip(rng.standard_t(3, 24), seed=k) for k in range(3000)])
    for level in (0.02, 0.01, 0.005):
        assert np.mean(found <= level) <= level + 3 * np.sqrt(level / 3000)


def test_tilted_signs_have_the_observed_sum_as_their_mean():
    effects = np.random.default_rng(4).normal(0.3, 1, 50)
    signs = rare.tilt_signs(effects, 20.0)
    assert float((2 * signs.keep - 1) @ effects) == pytest.approx(20.0)
