"""chrF equals sacreBLEU 2.6.0 (sentence_chrf, eps_smoothing=False) divided by 100."""

from __future__ import annotations

import random

import pytest

from harness.metrics import chrf as module
from harness.metrics.chrf import chrf, chrf_many


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


ALPHABETS = {
    "few": "ab",
    "two scripts": "the rate ставка\n",
    "odd": "aб…\ud800 \n😀\x00",
    "too many for 64 bits": "".join(map(chr, range(0x4E00, 0x5300))),
}


@pytest.mark.parametrize("kind", ALPHABETS)
def test_many_pairs_score_as_each_alone_to_the_last_digit(kind, monkeypatch):
    rng = random.Random(kind)
    texts = [
        ["".join(rng.choices(ALPHABETS[kind], k=rng.randrange(most))) for _ in range(700)]
        for most in (9, 40)
    ]
    alone = [chrf(*pair) for pair in zip(*texts, strict=True)]
    assert chrf_many(*texts) == alone
    monkeypatch.setattr(module, "CHARACTERS", 300)  # many batches, and some pairs longer than one
    monkeypatch.setattr(module, "FEW", 1)
    assert chrf_many(*texts) == alone


def test_no_pairs_have_no_scores():
    assert chrf_many([], []) == []
    assert chrf_many([""] * 20, [" "] * 20) == [0.0] * 20
