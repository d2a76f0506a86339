import math

import numpy as np
import pytest

from harness.statistics import (
    detectable_mean_gap,
    examples_needed,
    holm,
    sign_flip_floor,
    sign_flip_units,
)

TABLE = {  # percentage points by examples: paired at 10, 20, 30 % discordant; unpaired near 70 %
    100: (8.9, 12.5, 15.3, 18.2),
    200: (6.3, 8.9, 10.9, 12.8),
    500: (4.0, 5.6, 6.9, 8.1),
    1000: (2.8, 4.0, 4.9, 5.7),
    2000: (2.0, 2.8, 3.4, 4.1),
}


@pytest.mark.parametrize("n", TABLE)
def test_detectable_gaps_give_the_table(n):
    # a difference of right and wrong varies by the share that differs, two shares by 2p(1 - p)
    variances = (0.1, 0.2, 0.3, 2 * 0.7 * 0.3)
    found = [detectable_mean_gap(n, math.sqrt(variance)) for variance in variances]
    assert [round(100 * gap, 1) for gap in found] == list(TABLE[n])


def test_sign_flip_floors_by_seeds():
    found = [round(sign_flip_floor(s), 3) for s in (2, 3, 4, 5, 6, 8)]
    assert found == [0.5, 0.25, 0.125, 0.062, 0.031, 0.008]


@pytest.mark.parametrize("alpha", [0.5, 0.05, 1 / 32, 0.001, 0.05 / 160])
def test_the_fewest_differences_that_reach_a_level(alpha):
    n = sign_flip_units(alpha)
    assert sign_flip_floor(n) <= alpha < sign_flip_floor(n - 1)


def test_examples_needed_inverts_the_detectable_gap():
    assert examples_needed(detectable_mean_gap(700, 0.4), 0.4) == 700


def test_the_detectable_gap_is_found_four_times_in_five():
    rng = np.random.default_rng(1)
    gap = detectable_mean_gap(200, 0.4)
    d = rng.normal(gap, 0.4, (4000, 200))
    z = d.mean(axis=1) / (d.std(axis=1, ddof=1) / np.sqrt(200))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_holm_gives_hand_computed_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
