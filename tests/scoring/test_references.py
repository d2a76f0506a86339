"""Of several references the best counts, for each metric by itself."""

import pytest

from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.task import Task
from harness.scoring.scoring import attach_examples, score_records
from harness.suite.schema import Evaluation


def scored(prediction, references, **evaluation):
    task = Task(task="generation", language="en", labels=(), evaluation=Evaluation(**evaluation))
    example = Example(
        "1", "Who?", references[0], references=references if len(references) > 1 else ()
    )
    records = [{"prompt": "Who?", "prediction": prediction}]
    attach_examples(records, [example], task)
    score_records(records, task)
    return records[0]


@pytest.mark.parametrize("references", [("Anna", "the queen"), ("the queen", "Anna"), ("Anna",)])
def test_an_answer_that_equals_one_of_them_is_right(references):
    record = scored("Anna", references)
    assert record["scores"]["exact_match"] == record["scores"]["rougeL"] == 1.0


def test_the_best_is_at_least_each_alone():
    both = scored("the old queen Anna", ("Anna", "the queen"))["scores"]
    for reference in ("Anna", "the queen"):
        alone = scored("the old queen Anna", (reference,))["scores"]
        assert all(both[metric] >= alone[metric] for metric in alone)


def test_the_references_are_kept_in_the_record_so_that_it_can_be_scored_again():
    assert scored("x", ("Anna", "the queen"))["references"] == ["Anna", "the queen"]
    assert "references" not in scored("x", ("Anna",))


def test_an_extra_metric_without_a_direction_has_no_best_of_several():
    entry = {"source": "any", "higher_is_better": "neither"}
    with pytest.raises(HarnessError, match="best of several references"):
        scored("x", ("Anna", "the queen"), metrics=(entry,))
