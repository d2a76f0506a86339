"""What the scores of an export mean, in words."""

import dataclasses

import pytest
from stubs import stub_run

from harness.analysis import pairs
from harness.report.exported import exported_lines
from harness.results.run import load_run

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory, root):
    """Two cells of one test set, by the backend without torch."""
    run = load_run(stub_run(tmp_path_factory.mktemp("exported"), root, SUITE))
    first, second = (run.paths(cell).directory for cell in run.cells)
    return pairs.compare(first, second)[0]


def lines(pair, *, same, verdict):
    metric = pair.first.result.primary_metric
    delta = dataclasses.replace(pair.deltas[metric], verdict=verdict, low=-0.02, high=0.01, n=20)
    changed = dataclasses.replace(pair, deltas={**pair.deltas, metric: delta})
    return exported_lines(changed, same=same, answers=20, margin_command="harness compare a b")


def test_equal_answers_are_no_undecided_difference(pair):
    (only,) = lines(pair, same=20, verdict="undecided")
    assert only == "all 20 answers are the same to the letter, so their scores are the same"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("worse", "do not deploy them for it"),
        ("better", "score better than the cell"),
        ("equivalent", "within the margin"),
        ("undecided", "too few to show a loss"),
    ],
)
def test_other_answers_are_counted_and_the_verdict_is_explained(pair, verdict, said):
    first, *rest = lines(pair, same=12, verdict=verdict)
    assert first == "12 of 20 answers are the same to the letter"
    assert said in rest[0]


def test_an_undecided_difference_has_its_bounds_and_the_command_that_may_decide(pair):
    *_, bounds, command = lines(pair, same=12, verdict="undecided")
    assert "20 examples" in bounds
    assert "-0.020 to +0.010" in bounds
    assert command.endswith("harness compare a b --margin 0.02")
