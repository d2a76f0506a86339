"""The metrics that a gate names are looked up when the suite is read, for every kind of rule."""

import pytest

from harness.suite.gate_metrics import gate_problems
from harness.suite.loading import read_suite

SUITE = """\
name: gated
matrix: {model: [tiny-qwen2], dataset: [DATASET]}
evaluation: {metrics: [{source: words.py, higher_is_better: true}]}
gate: {rules: [{metric: NAME, test: TEST}]}
"""
PLAIN = "ru-calculations"
OWN = "{name: ru-calculations, evaluation: {metrics: [{source: a.py, keys: {f: {higher_is_better: true}}}]}}"


@pytest.mark.parametrize(
    ("name", "test", "dataset", "known"),
    [
        ("primary", "paired", PLAIN, True),
        ("rougeL", "paired", PLAIN, True),
        ("rougL", "paired", PLAIN, False),
        ("rougL", "exact", PLAIN, False),
        ("latency_p50_ms", "percentage", PLAIN, True),
        ("latency_p5_ms", "percentage", PLAIN, False),
        ("words", "paired", PLAIN, True),
        ("a_f", "paired", OWN, True),
        ("a_g", "paired", OWN, False),
        ("predictions", "exact", PLAIN, True),
        ("acc_norm", "paired", "{name: arc, source: 'lm_eval:arc_easy'}", True),
    ],
)
def test_a_metric_that_there_is_not_is_named(write_suite, name, test, dataset, known):
    text = SUITE.replace("NAME", name).replace("TEST", test).replace("DATASET", dataset)
    read = read_suite(write_suite(text))
    assert read.suite is not None, read.problems
    found = gate_problems(read.suite, read.file)
    assert (found == []) is known, found
