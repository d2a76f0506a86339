"""A metric that another package registers is scored, compared and shown like a shipped one."""

import pytest

from harness.errors import HarnessError
from harness.metrics.registry import METRICS, find, metric, registered
from harness.plan.task import Task
from harness.scoring.aggregation import aggregate
from harness.scoring.noise import noise_of
from harness.scoring.scoring import score_records, signatures_of
from harness.suite.schema import Evaluation

TASK = Task("generation", "en", (), Evaluation())


@pytest.fixture
def word_recall(monkeypatch):
    registered()  # the shipped ones are loaded, and stay
    monkeypatch.setattr(METRICS, "_items", dict(METRICS._items))

    @metric("word_recall", unit="share", higher_is_better=True, version=3, shown=("leaderboard",))
    def word_recall(prediction: str, reference: str) -> float:
        words = reference.split()
        return sum(word in prediction.split() for word in words) / len(words)

    return word_recall


def records(*pairs):
    return [
        {"id": str(i), "prediction": p, "reference": r, "example_prompt": "q",
         "finish_reason": "stop"}
        for i, (p, r) in enumerate(pairs)
    ]  # fmt: skip


def test_an_added_metric_is_scored_with_its_unit_direction_and_signature(word_recall):
    answers = records(("a b", "a c"), ("x", "x"))
    score_records(answers, TASK)
    value = next(v for v in aggregate(answers, TASK) if v.metric == "word_recall")
    assert (value.value, value.unit, value.higher_is_better, value.n) == (0.75, "share", True, 2)
    assert value.signature == signatures_of(TASK)["word_recall"] == "word_recall|v:3"
    assert word_recall("a", "a") == 1.0


def test_an_added_metric_has_a_noise_floor(word_recall):
    first, again = records(("a", "a"), ("b", "b")), records(("a", "a"), ("c", "b"))
    for answers in (first, again):
        score_records(answers, TASK)
    assert noise_of(first, {"again": again}).floor["word_recall"] == 0.5


def test_a_name_that_is_taken_is_refused(word_recall):
    with pytest.raises(HarnessError, match="word_recall"):
        metric("word_recall", higher_is_better=True)(word_recall)


def test_a_metric_without_a_direction_cannot_be_declared():
    with pytest.raises(TypeError, match="higher_is_better"):
        metric("anything")


def test_a_metric_that_is_slow_is_scored_where_it_is_named(word_recall):
    @metric("slow", higher_is_better=True, always=False)
    def slow(prediction: str, reference: str) -> float:
        return 1.0

    named = Task("generation", "en", (), Evaluation(metrics=["slow"]))
    assert "slow" not in signatures_of(TASK)
    assert signatures_of(named)["slow"] == "slow|v:1"


def test_a_score_that_is_unknown_here_is_kept(word_recall):
    answers = [{**record, "scores": {"of_a_plugin": 0.5}} for record in records(("a", "a"))]
    score_records(answers, TASK)
    assert answers[0]["scores"]["of_a_plugin"] == 0.5


def test_every_registered_metric_says_what_it_is():
    for record in registered():
        assert find(record.name) is record
        assert record.scorer or record.corpus or not record.is_scored or record.of
        assert not record.same_hardware or record.reads == "measurement"
        assert not record.per_example or find(record.per_example).scorer
