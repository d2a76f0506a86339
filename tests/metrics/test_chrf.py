"""chrF equals sacreBLEU 2.6.0 (sentence_chrf, eps_smoothing=False) divided by 100."""

from __future__ import annotations

import pytest

from harness.metrics.chrf import chrf


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("the cat sat on the mat", "the cat is on the mat", 0.645779420625287),
        ("Ставка выросла до 15 %", "Ставка упала до 15 %", 0.5534785700954427),
        ("ab", "abcdefgh", 0.23404255319148937),
        ("hello world", "Hello  World!", 0.3439985625386527),
        ("a", "b", 0.0),
        ("", "abc", 0.0),
        ("", "", 0.0),
    ],
)
def test_chrf_equals_the_recorded_sacrebleu_score(
    prediction: str, reference: str, score: float
) -> None:
    assert chrf(prediction, reference) == pytest.approx(score, abs=1e-12)


def test_identical_russian_texts_score_one() -> None:
    assert chrf("Банк повысил ставку", "Банк повысил ставку") == 1.0


def test_whitespace_does_not_count() -> None:
    assert chrf("a b\nc", "abc") == 1.0
