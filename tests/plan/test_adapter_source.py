"""Adapters that are trained already: their base is compared with the model's when a suite is read."""

import json

import pytest

from harness.errors import HarnessError
from harness.plan.adapter_source import base_notes
from harness.plan.check import Depth, check_suite
from harness.suite.model_card import ModelCard

SUITE = """\
name: shared
matrix:
  model: [{name: here, card: {source: owner/small-llama}}, {name: other, card: {source: owner/large}}]
  adapter: [{name: mine, source: adapter}]
  dataset: [{name: ru-calculations, rows: 40, train: 0}]
"""


def adapter(folder, base, record=None):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    if record is not None:
        (folder / "harness.json").write_text(json.dumps({"base_model": record}))
    return folder


@pytest.mark.parametrize(
    ("base", "record", "outcome"),
    [
        ("owner/small-llama", None, "same"),
        ("/tmp/somewhere/small-llama", None, "same"),
        ("copy/Small-Llama", None, "same"),
        ("owner/large", None, "refused"),
        ("/tmp/somewhere/large", None, "unknown"),
        ("", None, "unknown"),
        ("owner/small-llama", "large", "refused"),  # the harness's own record is believed first
        ("/tmp/somewhere", "small-llama", "same"),
    ],
)
def test_a_base_is_the_same_another_one_or_unknown(tmp_path, base, record, outcome):
    card = ModelCard(name="here", source="owner/small-llama")
    folder = adapter(tmp_path / "adapter", base, record)
    if outcome == "refused":
        with pytest.raises(HarnessError, match=r"was trained on .*large, not on owner/small-llama"):
            base_notes(folder, card, "mine")
    else:
        assert bool(base_notes(folder, card, "mine")) is (outcome == "unknown")


def test_an_adapter_of_another_base_is_refused_with_its_line_unless_it_is_excluded(tmp_path):
    adapter(tmp_path / "adapter", "owner/small-llama")
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    (problem,) = check_suite(path, Depth(data=False)).problems
    assert problem.startswith(f"{path}:4: matrix.adapter.0.source: ")
    assert "trained on owner/small-llama, not on owner/large" in problem
    path.write_text(SUITE + "exclude: [{model: other, adapter: mine}]\n")
    assert check_suite(path, Depth(data=False)).problems == ()


def test_a_set_that_only_tests_trains_nothing(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("source: adapter", "config: {r: 2}"))
    (problem,) = check_suite(path, Depth(data=False)).problems
    assert problem.startswith(
        f"{path}:5: matrix.dataset.0.train: the set only tests, and mine would"
    )
