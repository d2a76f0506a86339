import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics import tie_groups, verdict


@pytest.mark.parametrize(
    ("low", "high", "margin", "wanted"),
    [
        (1.5, 3, 1, "better"), (-3, -1.5, 1, "worse"), (-0.5, 0.9, 1, "equivalent"),
        (0.5, 3, 1, "undecided"), (-2, 2, 1, "undecided"), (1, 3, 1, "undecided"),
        (0.1, 1, 0, "better"), (0, 0, 0, "undecided"),
    ],
)  # fmt: skip
def test_verdict_reads_the_interval_against_the_margin(low, high, margin, wanted):
    assert verdict(low, high, margin) == wanted


def test_verdict_follows_the_direction():
    assert verdict(1, 2, higher_is_better=False) == "worse"
    assert verdict(-2, -1, higher_is_better=False) == "better"


def test_a_gain_not_above_the_noise_floor_is_undecided():
    assert verdict(0.5, 1.5, noise_floor=1.0) == "undecided"
    assert verdict(0.5, 1.5, noise_floor=0.9) == "better"
    assert verdict(0.5, 1.5, noise_floor=1.0, delta=1.1) == "better"


@pytest.mark.parametrize("bad", [(2, 1, 0), (float("nan"), 1, 0), (0, 1, -1)])
def test_verdict_refuses_what_is_no_interval(bad):
    with pytest.raises(ValueError, match="no verdict"):
        verdict(*bad)


def test_tie_groups_of_a_chain():
    assert tie_groups(["x", "y", "z"], [("x", "z")]) == {"x": "a", "y": "ab", "z": "b"}
    assert tie_groups(["x", "y"], []) == {"x": "a", "y": "a"}
    assert tie_groups(["x", "y"], [("y", "x")]) == {"x": "a", "y": "b"}


PAIRS = list(itertools.combinations("pqrstu", 2))


@given(st.sets(st.sampled_from(PAIRS)))
def test_variants_share_a_letter_exactly_when_they_tie(different):
    letters = tie_groups(list("pqrstu"), different)
    for one, other in PAIRS:
        assert bool(set(letters[one]) & set(letters[other])) == ((one, other) not in different)
