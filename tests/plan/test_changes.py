"""A cell that is to be done again says what changed since it was done."""

import pytest

from harness.plan.plan import make_plan
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite

SUITE = """\
name: changed
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: own, source: own.csv, columns: {prompt: q, reference: a}, train: 12, test: 4}]
training: {learning_rate: 1e-3}
evaluation: {latency_prompts: 0, noise_examples: 0}
"""


@pytest.fixture
def suite(write_suite, tmp_path):
    path = write_suite(SUITE)
    lines = "".join(f"question {k},answer {k}\n" for k in range(20))
    (tmp_path / "own.csv").write_text(f"q,a\n{lines}")
    run_suite(make_plan(path, tmp_path / "out", backend="testing"), InProcessExecutor(), print)
    return path


def edit_data(suite):
    data = suite.parent / "own.csv"
    data.write_text(data.read_text().replace("answer 3", "another answer"))


def edit(old, new):
    return lambda suite: suite.write_text(suite.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("change", "tuned", "base"),
    [
        (edit_data, "its data changed", "its data changed"),
        (edit("1e-3", "2e-3"), "changed: training.learning_rate", None),
        (edit("r: 4", "r: 8"), "changed: adapter_config.r", None),
        (
            edit("latency_prompts: 0", "latency_prompts: 1"),
            "changed: evaluation.latency_prompts",
            "changed: evaluation.latency_prompts",
        ),
        (edit("name: changed", "name: other"), None, None),
        (edit("seed", "seed"), None, None),
    ],
    ids=["data", "training", "adapter", "evaluation", "name", "nothing"],
)
def test_a_plan_says_why_a_cell_is_done_again(suite, tmp_path, change, tuned, base):
    change(suite)
    plan = make_plan(suite, tmp_path / "out", backend="testing")
    found = {d.cell.adapter: d.reason for d in plan.decisions}
    assert found == {"a": tuned, "base": base}


def test_a_damaged_file_of_an_earlier_run_costs_the_reason_alone(suite, tmp_path):
    for path in (tmp_path / "out" / "cells").glob("*/cell.json"):
        path.write_text("[")
    edit_data(suite)
    plan = make_plan(suite, tmp_path / "out", backend="testing")
    assert {(d.action, d.reason) for d in plan.decisions} == {("run", None)}
