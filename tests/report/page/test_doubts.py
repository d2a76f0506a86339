"""Reasons for doubt on the first screen: nothing grave is left out, and nothing is said eight times."""

import pytest

from harness.analysis.cautions import Caution, Gravity
from harness.report.page.summary import _doubts


def grave(dataset, text):
    return Caution(Gravity.GRAVE, text, "in short", dataset)


BEATEN = "No variant beats what needs no model: ROUGE-L is {}."


@pytest.mark.parametrize("many", [1, 2, 3, 8])
def test_from_three_data_sets_on_a_grave_doubt_is_one_line_with_all_its_numbers(many):
    found = _doubts([grave(f"d{k}", BEATEN.format(k / 10)) for k in range(many)])
    assert len(found) == (many if many < 3 else 1)
    whole = " ".join(f"{doubt.where} {doubt.text}" for doubt in found)
    for k in range(many):
        assert f"d{k}" in whole
        assert f"ROUGE-L is {k / 10}" in whole
    assert {doubt.level for doubt in found} == {"grave"}
    assert [doubt.brief for doubt in found if doubt.brief] == (
        ["No variant beats what needs no model"] if many >= 3 else []
    )


def test_what_shares_no_beginning_stays_apart():
    texts = (BEATEN.format(1), "Both sides answer in other ways: ask alike.", "All is one label.")
    found = _doubts([grave(f"d{k}", text) for k, text in enumerate(texts)])
    assert [doubt.text for doubt in found] == list(texts)
