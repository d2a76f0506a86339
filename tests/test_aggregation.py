import pytest

from harness.aggregation import signature
from harness.scoring import Task
from harness.suite import Evaluation


@pytest.mark.parametrize(
    ("metric", "labels", "evaluation", "text"),
    [
        ("rougeL", (), {}, "rouge|tok:unicode|stem:none|v:1"),
        (
            "rouge2",
            (),
            {"rouge_tokenizer": "rouge_score", "rouge_stemmer": "porter"},
            "rouge|tok:rouge_score|stem:porter|v:1",
        ),
        ("chrf", (), {}, "chrf|beta:2|order:6|v:1"),
        (
            "numeric_accuracy",
            (),
            {"numeric_rel_tol": 0.02},
            "numeric|lang:ru|rel:0.02|scale:as_written|v:1",
        ),
        ("f1_macro", ("up", "down"), {}, "f1_macro|labels:up,down|unparsed:wrong|v:1"),
        ("bleu", (), {}, "bleu|evaluate"),
    ],
)
def test_a_signature_names_every_setting(metric, labels, evaluation, text):
    task = Task("generation", "ru", labels, Evaluation(**evaluation))
    assert signature(metric, task) == text
