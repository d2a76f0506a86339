"""Draws shared by contrasts of one size: as good as draws of their own, whatever the order."""

import math

import numpy as np
import pytest

from harness.statistics import bca, draws, sign_flip
from harness.statistics.draws import UNSHARED, bootstrap_draws, dot, sign_draws
from harness.statistics.resampling import bca_limits

RESAMPLES = 10_000


def contrasts(count, n):
    """Differences of bounded scores; a third of them stays as it was."""
    rng = np.random.default_rng(n)
    for k in range(count):
        d = np.clip(rng.gamma(2, 0.1, n) - 0.2 + 0.004 * k, -1, 1)
        yield np.where(rng.random(n) < 1 / 3, 0.0, d)


def own_interval(d, seed):
    rows = np.random.default_rng(seed).integers(0, len(d), (RESAMPLES, len(d)))
    jackknife = (d.sum() - d) / (len(d) - 1)
    return bca_limits(d[rows].mean(axis=1), float(d.mean()), jackknife)


def own_p(d, seed):
    d = d[d != 0]
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (RESAMPLES, len(d)))
    return (np.sum(np.abs(signs @ d) >= abs(d.sum()) - 1e-9) + 1) / (RESAMPLES + 1)


def test_intervals_are_those_of_resampling_each_contrast_by_itself():
    gaps = []
    for k, d in enumerate(contrasts(20, 120)):
        own = np.array([own_interval(d, 1000 * k + seed) for seed in range(1, 4)])
        gaps.append((np.array(bca(d)) - own.mean(axis=0)) / np.std(d) * np.sqrt(len(d)))
    # a 2.5% quantile of 10,000 draws has a standard error of 0.027 standard errors of the mean
    assert np.abs(gaps).max() < 0.12
    assert np.sqrt(np.mean(np.square(gaps))) < 0.05


def test_p_values_are_those_of_flipping_each_contrast_by_itself():
    for k, d in enumerate(contrasts(20, 120)):
        own = np.mean([own_p(d, 1000 * k + seed) for seed in range(1, 4)])
        error = np.sqrt(4 / 3 * max(own, 1e-4) * (1 - own) / RESAMPLES)
        assert sign_flip(d) == pytest.approx(own, abs=4 * error + 1e-4)


def test_neither_the_order_nor_what_is_kept_changes_a_result(monkeypatch):
    mixed = [d for n in (60, 70, 80, 90, 100, 110) for d in contrasts(2, n)]
    once = [(bca(d), sign_flip(d)) for d in mixed]
    again = [(bca(d), sign_flip(d)) for d in reversed(mixed)]
    assert again == once[::-1]
    monkeypatch.setattr(draws, "KEPT_CELLS", 0)
    assert [(bca(d), sign_flip(d)) for d in mixed] == once


def test_contrasts_that_share_signs_are_found_at_the_nominal_rate():
    rng = np.random.default_rng(3)
    found = [sign_flip(rng.normal(0, 1, 60), resamples=999) <= 0.05 for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.015)


def test_every_resample_holds_as_many_examples_as_the_sample():
    counts = np.concatenate(list(bootstrap_draws(37, 4000, 0)))
    assert counts.shape == (4000, 37)
    assert set(counts.sum(axis=1)) == {37}
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.08)
    assert counts.var(axis=0) == pytest.approx(36 / 37, abs=0.12)


def test_signs_are_fair_and_independent():
    signs = np.concatenate(list(sign_draws(19, 8000, 0))).astype(float)
    assert signs.shape == (8000, 19)
    assert signs.mean(axis=0) == pytest.approx(0.5, abs=0.025)
    other = np.corrcoef(signs.T) - np.eye(19)
    assert np.abs(other).max() < 0.05
    assert not np.array_equal(signs, np.concatenate(list(sign_draws(19, 8000, 1))))


def test_a_count_reaches_the_size_of_a_tiny_sample():
    counts = np.concatenate(list(bootstrap_draws(2, 500, 0)))
    assert set(counts.ravel()) == {0, 1, 2}


@pytest.mark.parametrize("n", [1, UNSHARED - 1, UNSHARED, UNSHARED + 1, 3 * UNSHARED + 7])
def test_an_inner_product_is_that_of_numpy_in_pieces_of_one_thread(n):
    first, second = np.random.default_rng(n).normal(size=(2, n))
    found = dot(first, second)
    assert type(found) is float
    assert found == pytest.approx(math.fsum(first * second), rel=1e-9, abs=1e-9)
    assert n > UNSHARED or found == float(first @ second)
