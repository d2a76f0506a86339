"""The task of a cell is settled when the suite is expanded, and survives the trip to a worker."""

import json

import pytest

from harness.errors import HarnessError
from harness.plan.cell import cell_of_record, cell_record, evaluated
from harness.plan.expand import expand
from harness.suite.loading import load_suite

SUITE = """\
name: tasks
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset:
    - ENTRY
"""


def cells(write_suite, entry):
    path = write_suite(SUITE.replace("ENTRY", entry))
    return expand(load_suite(path), path)


@pytest.mark.parametrize(
    ("entry", "task", "language", "primary", "answered"),
    [
        ("ru-calculations", "generation", "ru", "numeric_accuracy", ("generation", "generation")),
        ("{name: x, source: finance-qa, language: ru}", "generation", "ru", "rougeL",
         ("generation", "generation")),
        ("finance-labels", "classification", "en", "f1_macro", ("likelihood", "head")),
        ("{name: finance-labels, classify_by: generation, primary_metric: accuracy}",
         "classification", "en", "accuracy", ("generation", "generation")),
    ],
)  # fmt: skip
def test_the_suite_s_word_comes_before_the_data_set_s_own(
    write_suite, entry, task, language, primary, answered
):
    base, tuned = cells(write_suite, entry)
    assert (tuned.task.task, tuned.task.language, tuned.task.primary_metric) == (
        task, language, primary,
    )  # fmt: skip
    assert (base.task.answered_by, tuned.task.answered_by) == answered
    assert tuned.task.evaluation is tuned.evaluation


@pytest.mark.parametrize("entry", ["finance-labels", "ru-calculations"])
def test_a_record_of_an_earlier_version_without_its_task_is_read(write_suite, entry):
    for cell in cells(write_suite, entry):
        record = json.loads(json.dumps(cell_record(cell)))
        assert cell_of_record(record) == cell
        assert record.pop("task")["answered_by"] == cell.task.answered_by
        assert cell_of_record(record) == cell


def test_evaluation_options_are_replaced_in_one_place(write_suite):
    cell = cells(write_suite, "ru-calculations")[0]
    other = evaluated(cell, batch_size=3)
    assert (other.evaluation.batch_size, other.task.evaluation.batch_size) == (3, 3)
    assert cell_record(other)["evaluation"]["batch_size"] == 3


def test_an_unknown_data_set_is_refused_before_a_run_is_planned(write_suite):
    from harness.errors import HarnessError

    with pytest.raises(HarnessError, match="finance-qaa"):
        cells(write_suite, "finance-qaa")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: finance-qa, primary_metric: rougel}", 'unknown metric "rougel".*\n.*rougeL'),
        ("{name: finance-qa, primary_metric: f1_macro}", "for a generation task"),
        ("{name: finance-labels, primary_metric: chrf}", "for a classification task"),
        ("{name: finance-qa, primary_metric: latency_p50_ms}", "unknown metric"),
        ("{name: finance-qa, primary_metric: entropy}", "has no direction"),
        ("{name: finance-qa, primary_metric: my_error}", 'unknown metric "my_error"'),
    ],
)
def test_a_primary_metric_that_cells_would_not_have_is_refused(write_suite, entry, message):
    with pytest.raises(HarnessError, match=message):
        cells(write_suite, entry)


@pytest.mark.parametrize(("direction", "refused"), [("false", False), ("neither", True)])
def test_an_extra_metric_can_be_primary_where_it_has_a_direction(write_suite, direction, refused):
    extra = f"{{metrics: [{{source: my_error.py, higher_is_better: {direction}}}]}}"
    entry = f"{{name: finance-qa, primary_metric: my_error, evaluation: {extra}}}"
    if refused:
        with pytest.raises(HarnessError, match="has no direction"):
            cells(write_suite, entry)
    else:
        assert cells(write_suite, entry)[0].task.primary_metric == "my_error"
