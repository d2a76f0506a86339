import pytest

from harness.plan.task import Task
from harness.scoring.aggregation import aggregate, interval
from harness.scoring.scoring import signatures_of
from harness.suite.schema import Evaluation


@pytest.mark.parametrize(
    ("metric", "labels", "evaluation", "text"),
    [
        ("rougeL", (), {}, "rouge|tok:unicode|stem:none|v:2"),
        (
            "rouge2",
            (),
            {"rouge_tokenizer": "rouge_score", "rouge_stemmer": "porter"},
            "rouge|tok:rouge_score|stem:porter|v:2",
        ),
        ("chrf", (), {}, "chrf|beta:2|order:6|v:2"),
        (
            "numeric_accuracy",
            (),
            {"numeric_rel_tol": 0.02},
            "numeric|lang:ru|rel:0.02|scale:either|v:2",
        ),
        ("numeric_accuracy", (), {}, "numeric|lang:ru|gold_decimals|scale:either|v:2"),
        ("f1_macro", ("up", "down"), {}, "f1_macro|labels:up,down|unparsed:wrong|v:2"),
        (
            "bleu",
            (),
            {"metrics": [{"source": "bleu", "higher_is_better": True}]},
            "bleu|evaluate|v:1",
        ),
    ],
)
def test_a_signature_names_every_setting(metric, labels, evaluation, text):
    kind = "classification" if labels else "generation"
    task = Task(kind, "ru", labels, Evaluation(**evaluation))
    assert signatures_of(task)[metric] == text


def answered(prediction, group, reason="stop"):
    return {
        "id": f"{group}{prediction}{reason}", "group": group, "prediction": prediction,
        "reference": "r", "example_prompt": "q", "finish_reason": reason, "label": "a",
        "predicted_label": prediction or None, "scores": {"accuracy": float(prediction == "a")},
    }  # fmt: skip


def values_of(records):
    task = Task("classification", "en", ("a", "b"), Evaluation())
    return {v.metric: v for v in aggregate(records, task)}


def test_counts_of_answers_are_as_sure_as_their_groups_allow():
    once = [answered("a" if k else "", f"g{k}", "length" if k < 4 else "stop") for k in range(12)]
    copied = [{**r, "id": f"{r['id']}{k}"} for r in once for k in range(10)]
    alone, many = values_of(once), values_of(copied)
    for name in ("truncated_share", "empty_share", "unparsed_share"):
        assert many[name].value == alone[name].value
        width = alone[name].ci_high - alone[name].ci_low
        assert many[name].ci_high - many[name].ci_low > 0.7 * width


def test_a_share_that_is_whole_in_every_group_is_not_certain():
    records = [{**answered("a", f"g{k // 5}"), "id": str(k)} for k in range(50)]
    found = values_of(records)["accuracy"]
    assert (found.value, found.ci_high) == (1.0, 1.0)
    assert found.ci_low == pytest.approx(0.722, abs=1e-3)


@pytest.mark.parametrize("numbers", [
    [1.0] * 9 + [0.0], [0.0] * 9 + [1.0], [1.0, 0.0] * 5, [1.0] * 10, [0.99, 1.0] * 4 + [0.2, 1.0],
    [0.0] * 8 + [0.9, 0.0],
])  # fmt: skip
def test_the_interval_of_a_share_is_a_share(numbers):
    for size in (1, 2, 5):
        low, high = interval(numbers, [str(k // size) for k in range(len(numbers))])
        assert 0 <= low <= sum(numbers) / len(numbers) <= high <= 1


def test_equal_scores_in_groups_bound_what_was_not_seen_as_so_many_examples_do():
    grouped = interval([0.4] * 20, [str(k // 2) for k in range(20)])
    assert grouped == interval([0.4] * 10, None)
    assert grouped[0] < 0.25 < 0.55 < grouped[1]
