"""Agreement and Cohen's kappa, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from harness.statistics.agreement import agreement

RNG = np.random.default_rng(7)
CASES = {
    "alike": (list("ABTABTAABB"), list("ABTABTAABB")),
    "chance": (list(RNG.choice(list("ABT"), 200)), list(RNG.choice(list("ABT"), 200))),
    "mostly": (list("AAAABBBBTT"), list("AAABBBBBTA")),
    "a class of one side alone": (list("AABB"), list("AABT")),
    "contrary": (list("AABB"), list("BBAA")),
}


@pytest.mark.parametrize("name", CASES)
def test_kappa_is_scikit_learn_s(name):
    first, second = CASES[name]
    found = agreement(first, second)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    assert found.share == pytest.approx(np.mean(np.array(first) == np.array(second)))
    assert found.kappa_interval.low <= found.kappa <= found.kappa_interval.high
    assert found.share_interval.low <= found.share <= found.share_interval.high


def test_one_class_alone_has_no_kappa():
    found = agreement(["A"] * 5, ["A"] * 5)
    assert (found.share, found.kappa, found.kappa_interval) == (1.0, None, None)


def test_no_case_is_no_agreement():
    assert agreement([], []) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement(["A"], [])


def test_the_interval_covers_the_true_kappa():
    rng = np.random.default_rng(3)
    table = np.array([[0.4, 0.1], [0.1, 0.4]])  # kappa 0.6
    hits = 0
    for _ in range(60):
        cells = rng.choice(4, size=80, p=table.ravel())
        found = agreement(list(cells // 2), list(cells % 2))
        hits += found.kappa_interval.low <= 0.6 <= found.kappa_interval.high
    assert 52 <= hits <= 60
