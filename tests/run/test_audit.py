"""Warnings about the rows of a cell."""

import pytest

from harness.run.audit import check_leakage
from harness.suite.schema import Evaluation

OVERLAPS = {
    (0, 0): [],
    (2, 0): ["of the test prompts, 2 also occur in training"],
    (0, 12): ["of the test prompts, 12 nearly repeat a training prompt"],
    (2, 3): ["of the test prompts, 2 also occur in training and 3 nearly repeat a training prompt"],
}


@pytest.mark.parametrize("counts", OVERLAPS)
def test_an_overlap_counts_what_there_is_and_no_zero(counts):
    exact, near = counts
    found = check_leakage({"overlap_exact": exact, "overlap_near": near}, Evaluation())
    assert found == OVERLAPS[counts]
