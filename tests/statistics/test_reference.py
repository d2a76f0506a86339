"""Values of statsmodels 0.15.0, kept as literals: it is no dependency."""

import pytest
from scipy.stats import binom

from harness.statistics import (
    clustered_t,
    crossed_difference,
    holm,
    mid_p_mcnemar,
    two_proportions,
    wilson,
)


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(12, 4, 0.076812744140625), (30, 18, 0.11140289106101878), (3, 0, 0.25)]
)
def test_mcnemar_is_the_exact_value_less_half_the_observed_point_on_each_side(won, lost, p):
    point = binom.pmf(min(won, lost), won + lost, 0.5)
    assert mid_p_mcnemar(won, lost) == pytest.approx(p - point, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "n", "score"),
    [
        (0, 50, (0.0, 0.07134759913335874)),
        (35, 50, (0.5624964953554659, 0.8089644649911905)),
        (7, 9, (0.45258896910698887, 0.9367748928821533)),
    ],
)
def test_the_interval_of_a_share(hits, n, score):
    assert tuple(wilson(hits, n)) == pytest.approx(score, abs=1e-9)


def test_multiplicity():
    p = [0.01, 0.04, 0.03, 0.005, 0.5]
    assert holm(p) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])


def test_two_independent_shares():
    assert two_proportions(0.45, 100, 60 / 110, 110) == pytest.approx(0.16706427691489423)


def test_a_clustered_mean_and_the_crossed_model_of_one_seed():
    x = [0.1, 0.5, 0.3, 0.9, 0.2, 0.4, 0.7, 0.6, 0.8, 0.35]
    groups = [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    reference = (0.3035354344997535, 0.6664645655002465)
    assert tuple(clustered_t(x, groups)) == pytest.approx(reference, abs=1e-9)
    crossed = crossed_difference([[value] for value in x], clusters=groups)
    assert (crossed.low, crossed.high) == pytest.approx(reference, abs=1e-9)
