"""Scores of `evaluate` modules: one column or several, and mistakes before training."""

import pytest

from harness.errors import HarnessError
from harness.plan.task import Task
from harness.scoring.aggregation import aggregate
from harness.scoring.extra import check_extra_metrics
from harness.scoring.scoring import score_records, signatures_of
from harness.suite.schema import Evaluation

MODULE = """\
import datasets
import evaluate


class Words(evaluate.Metric):
    def _info(self):
        kinds = {{"predictions": datasets.Value("string"), "references": datasets.Value("string")}}
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="", features=datasets.Features(kinds),
        )

    def _compute(self, predictions, references):
        n = len(predictions[0].split())
        return {given}
"""


def task(tmp_path, given, **entry):
    path = tmp_path / f"{tmp_path.name.replace('-', '_')}.py"
    path.write_text(MODULE.format(given=given))
    return Task("generation", "en", (), Evaluation(metrics=[{"source": str(path), **entry}]))


def scored(task):
    records = [
        {"id": str(i), "prediction": text, "reference": "a b", "example_prompt": "q",
         "finish_reason": "stop"}
        for i, text in enumerate(["a b", "c"])
    ]  # fmt: skip
    score_records(records, task)
    return {value.metric: value for value in aggregate(records, task)}


def test_a_module_of_one_number_is_one_column_with_the_declared_direction(tmp_path):
    told = task(tmp_path, '{"n": n}', name="words", higher_is_better=False, unit="word")
    value = scored(told)["words"]
    assert (value.value, value.unit, value.higher_is_better, value.n) == (1.5, "word", False, 2)
    assert value.signature == signatures_of(told)["words"]
    assert value.signature.startswith("words|evaluate|")


def test_a_module_of_several_numbers_gives_those_that_are_named(tmp_path):
    keys = {"n": {"higher_is_better": True}, "many": {"higher_is_better": "neither"}}
    found = scored(
        task(tmp_path, '{"n": n, "many": [2 * n], "text": "x"}', name="words", keys=keys)
    )
    assert (found["words_n"].value, found["words_n"].higher_is_better) == (1.5, True)
    assert (found["words_many"].value, found["words_many"].higher_is_better) == (3.0, None)


@pytest.mark.parametrize(
    ("given", "entry", "message"),
    [
        ('{"a": n, "b": n}', {"higher_is_better": True}, "gives 2 numbers"),
        ('{"a": n}', {"keys": {"c": {"higher_is_better": True}}}, 'returns no number "c"'),
        ('{"text": "x"}', {"higher_is_better": True}, "gives 0 numbers"),
    ],
)
def test_a_module_that_gives_other_numbers_is_refused_before_training(
    tmp_path, given, entry, message
):
    told = task(tmp_path, given, **entry)
    with pytest.raises(HarnessError, match=message):
        check_extra_metrics(told.evaluation, told)


def test_a_module_that_cannot_be_loaded_is_refused_before_training(tmp_path):
    entry = {"source": str(tmp_path / "absent.py"), "higher_is_better": True}
    told = Task("generation", "en", (), Evaluation(metrics=[entry]))
    with pytest.raises(HarnessError, match="cannot be loaded"):
        check_extra_metrics(told.evaluation, told)
