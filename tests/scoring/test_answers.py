"""Reasoning is cut off before every metric, kept in the record, and counted."""

import pytest

from harness.plan.task import Task
from harness.scoring.aggregation import aggregate
from harness.scoring.scoring import score_records
from harness.suite.schema import Evaluation

LABELS = Task("classification", "en", ("negative", "neutral", "positive"), Evaluation())
TEXT = Task("generation", "en", (), Evaluation())


def record(prediction, **fields):
    return {
        "id": prediction, "prompt": "q", "example_prompt": "q", "prediction": prediction,
        "reference": "", "gold": None, "finish_reason": "stop", "category": None, "group": None,
        **fields,
    }  # fmt: skip


def values(records, task):
    return {v.metric: v.value for v in aggregate(records, task)}


def test_labels_are_read_behind_the_reasoning_with_their_span():
    texts = ["<think>negative?</think>positive", "<think>positive", "Label: positive"]
    records = [record(text, label="positive") for text in texts]
    score_records(records, LABELS)
    assert [r["predicted_label"] for r in records] == ["positive", None, "positive"]
    assert [r["prediction"] for r in records] == texts
    spans = [r["label_span"] and r["prediction"][slice(*r["label_span"])] for r in records]
    assert spans == ["positive", None, "positive"]
    found = values(records, LABELS)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["unparsed_share"] == found["unclosed_reasoning_share"] == pytest.approx(1 / 3)
    assert found["reasoning_chars"] == pytest.approx((24 + 15 + 0) / 3)


def test_every_text_metric_reads_the_answer_alone():
    plain, thinking = record("Paris", reference="Paris"), record("x", reference="Paris")
    thinking["prediction"] = "<think>Rome? London?</think>\n\nParis"
    score_records([plain], TEXT)
    score_records([thinking], TEXT)
    assert thinking["scores"] == plain["scores"]
    assert thinking["scores"]["exact_match"] == 1.0


def test_an_opening_tag_in_the_prompt_hides_what_never_ended():
    cut = record("It is 25 or", gold="25", prompt="q<think>\n")
    done = record("It is 24.</think>25", gold="25", prompt="q<think>\n")
    score_records([cut, done], TEXT)
    assert [r["scores"]["numeric_accuracy"] for r in (cut, done)] == [0.0, 1.0]
    assert cut["extracted"] is None
    assert values([cut, done], TEXT)["empty_share"] == 0.5


def test_answers_without_reasoning_have_no_column_for_it():
    records = [record("positive", label="positive")]
    score_records(records, LABELS)
    assert "reasoning_chars" not in records[0]
    assert "reasoning_chars" not in values(records, LABELS)


def test_a_label_that_a_head_chose_is_not_read_again():
    task = Task("classification", "en", LABELS.labels, Evaluation(), answered_by="head")
    records = [record("neutral", label="neutral", predicted_label="positive")]
    score_records(records, task)
    assert records[0]["predicted_label"] == "positive"
