"""`--select`: each pattern must fit something on its axis."""

import pytest

from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.plan.select import matches, refuse_unmatched
from harness.suite.loading import load_suite

SUITE = """\
name: x
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r8, config: {r: 8}}]
  dataset: [finance-qa, ru-calculations]
  seed: [0, 1]
"""

FITTING = {
    None: 6,
    "": 6,
    "model=tiny-*": 6,
    "adapter=base|lora-r8,dataset=finance-qa": 3,
    "seed=1": 4,  # and the baselines, which have no seed
}
UNKNOWN = {
    "model=tiny-llama": 'no model matches "tiny-llama"',
    "adapter=base|lora-r9": 'no adapter matches "lora-r9"',
    "seed=5": 'no seed matches "5"',
    "dataset=finance": 'no dataset matches "finance"',
    "adapter=": 'no adapter matches ""',
    "sed=1": '"sed=1" is not axis=pattern',
}


@pytest.fixture
def cells(write_suite):
    path = write_suite(SUITE)
    return expand(load_suite(path), path)


@pytest.mark.parametrize(("expression", "count"), FITTING.items())
def test_what_fits_is_selected(cells, expression, count):
    refuse_unmatched(cells, expression)
    assert sum(matches(cell, expression) for cell in cells) == count


@pytest.mark.parametrize(("expression", "message"), UNKNOWN.items())
def test_a_pattern_that_fits_nothing_is_refused_though_others_fit(cells, expression, message):
    with pytest.raises(HarnessError, match=message):
        refuse_unmatched(cells, expression)
