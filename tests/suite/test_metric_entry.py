"""An extra metric declares its direction; nothing is guessed."""

import pytest
from pydantic import ValidationError

from harness.errors import SuiteError
from harness.suite.loading import load_suite
from harness.suite.schema import Evaluation

SUITE = """\
name: extra
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [finance-qa]
evaluation:
  metrics: [METRICS]
"""


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ([{"source": "wer", "higher_is_better": False}], ["wer"]),
        ([{"source": "my/error.py", "higher_is_better": True}], ["error"]),
        ([{"source": "my/error.py", "name": "e", "higher_is_better": "neither"}], ["e"]),
        (["chrf"], ["chrf"]),
        (
            [{"source": "bertscore", "keys": {"f1": {"higher_is_better": True}}}],
            ["bertscore_f1"],
        ),
    ],
)
def test_an_entry_names_its_columns_and_survives_storage(entries, names):
    evaluation = Evaluation(metrics=entries)
    assert [name for entry in evaluation.metrics for name in entry.names()] == names
    assert Evaluation(**evaluation.model_dump(mode="json")) == evaluation


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["wer"], r"Write \{source: wer, higher_is_better: true\}"),
        ([{"source": "wer"}], 'whether a higher "wer" is better is not known'),
        ([{"source": "chrf", "higher_is_better": False}], "is a metric of the harness"),
        ([{"source": "a/rougeL.py", "higher_is_better": True}], "give this one a `name`"),
        ([{"source": "a.py", "name": "latency_p50_ms", "higher_is_better": True}], "`name`"),
        (
            [{"source": "x", "higher_is_better": True, "keys": {"a": {"higher_is_better": True}}}],
            "`keys` hold the directions",
        ),
        (
            [{"source": "a/x.py", "higher_is_better": True}] * 2,
            "two extra metrics are called x",
        ),
        ([{"source": "wer", "higher_is_better": False, "direction": "up"}], "direction"),
    ],
)
def test_what_is_not_declared_or_contradicts_is_refused(entries, message):
    with pytest.raises(ValidationError, match=message):
        Evaluation(metrics=entries)


def test_a_suite_says_the_line_and_the_entry_to_write(write_suite):
    with pytest.raises(SuiteError) as caught:
        load_suite(write_suite(SUITE.replace("METRICS", "wer")))
    (problem,) = caught.value.problems
    assert "suite.yaml:7: evaluation.metrics.0: " in problem
    assert "{source: wer, higher_is_better: true}" in problem
