"""Intervals of high confidence: as of a bootstrap with resamples enough in its tails."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from harness.statistics import bca, macro_f1_difference, sign_flip
from harness.statistics.paired import _rare_flip
from harness.statistics.resampling import (
    bca_limits,
    enough,
    resampled_means,
    too_many_to_draw,
)
from harness.statistics.saddlepoint import flip_p, mean_quantile

SAMPLES = {
    "text": lambda rng: np.clip(rng.normal(0.1, 0.2, 120), -1, 1),
    "skewed": lambda rng: rng.exponential(size=60),
    "few": lambda rng: rng.normal(0, 1, 20),
    "thirds": lambda rng: rng.integers(-3, 4, 60) / 3,
    "many unchanged": lambda rng: np.where(rng.random(200) < 0.6, 0.0, rng.normal(0.1, 0.3, 200)),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_far_ends_are_those_of_half_a_million_resamples(kind):
    x = SAMPLES[kind](np.random.default_rng(1))
    confidence = 1 - 0.05 / 60
    drawn = [bca(x.tolist(), confidence=confidence, resamples=500_000, seed=s) for s in range(3)]
    found = np.array(bca(x.tolist(), confidence=confidence))
    # skewness shifts an end to where half a million resamples leave an error of 0.1
    assert np.abs(found - np.mean(drawn, axis=0)).max() < 0.15 * x.std() / np.sqrt(len(x))


def test_ends_do_not_jump_where_resamples_give_way_to_the_approximation():
    x = SAMPLES["text"](np.random.default_rng(2))
    inside, beyond = (np.array(bca(x.tolist(), confidence=c)) for c in (0.9949, 0.9951))
    assert enough(0.9949) <= 10_000 < enough(0.9951)
    # 25 resamples in a tail place its end to 0.07 standard errors
    assert np.abs(inside - beyond).max() < 0.25 * x.std() / np.sqrt(len(x))


LONG = {
    "text": lambda rng: np.clip(rng.normal(0.1, 0.2, 4000), -1, 1),
    "skewed": lambda rng: rng.exponential(size=4000),
    "hardly any changed": lambda rng: np.where(np.arange(4000) < 40, rng.normal(0.1, 0.3, 4000), 0),
}


@pytest.mark.parametrize("kind", LONG)
def test_an_interval_of_thousands_is_that_of_its_resamples(kind):
    x = LONG[kind](np.random.default_rng(7))
    assert too_many_to_draw(x)
    jackknife = (x.sum() - x) / (len(x) - 1)
    limits = [
        bca_limits(resampled_means(x, 10_000, seed), float(x.mean()), jackknife)
        for seed in range(3)
    ]
    gaps = np.array(bca(x.tolist())) - np.mean(limits, axis=0)
    # an end of 10,000 resamples is known to 0.03 standard errors, with the bias to 0.04
    assert np.abs(gaps).max() < 0.1 * x.std() / np.sqrt(len(x))


FLIPS = {
    "a mean of 0": (lambda rng: rng.normal(0, 1, 4000), 0.0),
    "small": (lambda rng: rng.normal(0, 1, 4000), 0.03),
    "skewed": (lambda rng: rng.exponential(1, 4000) - 1, 0.01),
    "heavy tails": (lambda rng: rng.standard_t(2.5, 4000), 0.05),
    "twentieths": (lambda rng: np.round(rng.normal(0, 0.3, 4000) * 20) / 20, 0.0),
}


@pytest.mark.parametrize("kind", FLIPS)
def test_a_p_value_of_thousands_is_that_of_random_flips(kind):
    draw, shift = FLIPS[kind]
    x = draw(np.random.default_rng(11))
    d = x + shift * x.std()
    rng = np.random.default_rng(12)
    sums = np.concatenate([(rng.integers(0, 2, (500, 4000)) * 2 - 1) @ d for _ in range(10)])
    p = np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    assert too_many_to_draw(d)
    assert sign_flip(d.tolist()) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 5000) + 1e-3)


@pytest.mark.parametrize("shift", [0.06, 0.1, 0.2])
def test_a_rare_p_value_of_thousands_is_that_of_importance_sampling(shift):
    d = np.random.default_rng(13).normal(shift, 1, 4000)
    drawn = np.mean([_rare_flip(d, abs(d.sum()), seed) for seed in range(5)])
    assert flip_p(d) == pytest.approx(drawn, rel=0.1)


def test_a_mean_of_nothing_and_one_sign_alone_are_the_ends():
    x = np.random.default_rng(14).normal(0, 1, 4000)
    assert flip_p(np.concatenate([x, -x])) == 1.0
    assert 0 <= flip_p(np.abs(x)) < 1e-300


@pytest.mark.parametrize("shift", [0.0, 1e-15, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
def test_a_mean_near_nothing_has_the_normal_p_value(shift):
    d = np.random.default_rng(15).normal(0, 1, 4000)
    d += shift - d.mean()
    score = abs(d.sum()) / np.sqrt(d @ d)
    assert flip_p(d) == pytest.approx(2 * norm.sf(score), abs=2e-3)


def test_few_distinct_values_are_drawn_however_many():
    assert not too_many_to_draw(np.arange(10_000) % 20 / 20)


def test_a_far_quantile_of_a_few_values_stays_within_them():
    x = np.array([0.1, 0.2, 0.5])
    assert mean_quantile(x, 4.0) == pytest.approx(0.5)
    assert mean_quantile(x, -4.0) == pytest.approx(0.1)
    sparse = np.where(np.arange(40) < 3, -0.3, 0.0)
    assert mean_quantile(sparse, 3.5) == pytest.approx(0.0)


def test_swapped_signs_mirror_the_interval():
    x = SAMPLES["skewed"](np.random.default_rng(3))
    low, high = bca(x.tolist(), confidence=0.9999)
    assert bca((-x).tolist(), confidence=0.9999) == pytest.approx((-high, -low))


def test_intervals_of_999_in_1000_cover_that_often():
    rng = np.random.default_rng(4)
    outside = 0
    for _ in range(4000):
        low, high = bca(rng.gamma(8, 1, 80).tolist(), confidence=0.999)
        outside += not low <= 8 <= high
    # 4 of 4000 at the nominal level; a bootstrap of 80 lacks the spread that a t interval adds
    assert outside <= 4000 * 0.004


def test_macro_f1_takes_resamples_enough_for_its_tails():
    rng = np.random.default_rng(5)
    gold = rng.choice(list("abc"), 150).tolist()
    sides = [
        np.where(rng.random(150) < share, gold, rng.choice(list("abc"), 150)).tolist()
        for share in (0.5, 0.6)
    ]
    confidence = 1 - 0.05 / 100
    found = [
        macro_f1_difference(gold, *sides, "abc", confidence=confidence, seed=seed)
        for seed in range(8)
    ]
    lows = [f.low for f in found]
    normal = (found[0].high - found[0].low) / 2 / -ndtri((1 - confidence) / 2)
    assert enough(confidence) == 100_000
    assert np.std(lows) < 0.1 * normal
