"""ROUGE equals rouge_score on English and stays meaningful on Russian."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from harness.errors import HarnessError
from harness.metrics import rouge as module
from harness.metrics.rouge import (
    FEW,
    TOGETHER,
    RougeScores,
    lost_token_share,
    rouge,
    rouge_many,
)

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
PLAIN = RougeScorer(TYPES, use_stemmer=False)
STEMMED = RougeScorer(TYPES, use_stemmer=True)

SMALL = ["a", "b", "c", "d", "e", "f", "\n"]
ENGLISH = ["the", "cats", "cat", "runs", "running", "of", "dogs,", "quickly!", "3.14", "it's"]
few_words = st.lists(st.sampled_from(SMALL), max_size=40).map(" ".join)
english = st.lists(st.sampled_from([*ENGLISH, "\n", "\n\n"]), max_size=60).map(" ".join)
any_text = st.text(alphabet="abAB01 .,-\n\r\tёЯé", max_size=60)
texts = st.one_of(few_words, english, any_text)


def expected(scorer: RougeScorer, prediction: str, reference: str) -> RougeScores:
    scores = scorer.score(reference, prediction)
    return RougeScores(*(float(scores[kind].fmeasure) for kind in TYPES))


@settings(max_examples=500, deadline=None)
@given(texts, texts)
def test_scores_are_the_very_floats_of_rouge_score(prediction: str, reference: str) -> None:
    ours = rouge(prediction, reference, tokenizer="rouge_score")
    assert ours == expected(PLAIN, prediction, reference)


@settings(max_examples=200, deadline=None)
@given(english, english)
def test_stemmed_scores_are_the_very_floats_of_rouge_score(prediction: str, reference: str) -> None:
    ours = rouge(prediction, reference, tokenizer="rouge_score", stemmer="porter")
    assert ours == expected(STEMMED, prediction, reference)


def test_line_order_matters_to_l_but_not_to_lsum() -> None:
    scores = rouge("d e f\na b c", "a b c\nd e f")
    assert scores.rougeL == 0.5
    assert scores.rougeLsum == 1.0


def test_identical_russian_texts_score_one() -> None:
    text = "Банк повысил ставку до 15 % годовых"
    assert rouge(text, text) == (1.0, 1.0, 1.0, 1.0)


def test_unrelated_russian_texts_that_share_a_number_score_low() -> None:
    left, right = "Поезд пришёл на вокзал в 15 часов", "Компания уволила ровно 15 программистов"
    assert PLAIN.score(right, left)["rouge1"].fmeasure == 1.0
    assert rouge(left, right).rouge1 < 0.25


@pytest.mark.parametrize(("left", "right"), [("-5 %", "5 %"), ("3.14", "3.15"), ("1,5", "15")])
def test_sign_and_decimals_matter(left: str, right: str) -> None:
    assert rouge(left, right).rouge1 < 1.0


def test_decimal_comma_equals_decimal_point() -> None:
    assert rouge("рост 3,14", "рост 3.14").rouge1 == 1.0


def test_russian_stemmer_joins_word_forms() -> None:
    assert rouge("новая книга", "новую книгу").rouge1 == 0.0
    assert rouge("новая книга", "новую книгу", stemmer="snowball-russian").rouge1 == 1.0


def test_rouge_many_refuses_references_that_vanish() -> None:
    with pytest.raises(HarnessError, match="loses 80% of the reference words"):
        rouge_many(["15"], ["Ставка выросла до 15 пунктов"], tokenizer="rouge_score")


def test_rouge_many_refuses_unequal_lengths() -> None:
    with pytest.raises(HarnessError, match="1 prediction for 0 references"):
        rouge_many(["a"], [])


def test_rouge_many_equals_rouge_per_pair() -> None:
    left, right = ["a b", "в доме"], ["a c", "в дом"]
    assert rouge_many(left, right) == [rouge(p, r) for p, r in zip(left, right, strict=True)]


def test_russian_stemmer_with_the_ascii_tokenizer_is_refused() -> None:
    with pytest.raises(HarnessError, match="drops Cyrillic"):
        rouge("a", "a", tokenizer="rouge_score", stemmer="snowball-russian")


def test_lost_token_share_counts_words_that_do_not_survive_whole() -> None:
    assert lost_token_share("café and привет 15", "rouge_score") == 0.5
    assert lost_token_share("café and привет 15", "unicode") == 0.0
    assert lost_token_share("", "rouge_score") == 0.0


PIECES = [
    "the", "rate", "it's", "ставка", "ёлка", "1 234,5", "-5%", "3,14", "2024", "日本", "_x_", "'",
    "\ud800", "😀", "e\u0301", "<think>", "\n", "\n\n", "%", "-", "a1", "B",
]  # fmt: skip


@pytest.mark.parametrize(
    ("tokenizer", "stemmer"),
    [("unicode", "none"), ("unicode", "porter"), ("rouge_score", "none")],
)
@pytest.mark.parametrize("pairs", [1, FEW, TOGETHER + FEW, TOGETHER + 1])
def test_many_pairs_score_as_each_alone_to_the_last_digit(pairs, tokenizer, stemmer):
    rng = random.Random(pairs)
    texts = [
        [" ".join(rng.choices(PIECES, k=rng.choice((0, 1, 2, 9, 30)))) for _ in range(pairs)]
        for _ in range(2)
    ]
    options = {"tokenizer": tokenizer, "stemmer": stemmer}
    together = rouge_many(*texts, **options, refuse_lost=False)
    assert together == [rouge(*pair, **options) for pair in zip(*texts, strict=True)]
    assert all(type(score) is float for scores in together for score in scores)


def test_more_words_than_there_are_characters_are_counted_one_pair_at_a_time(monkeypatch):
    rng = random.Random(0)
    texts = [[" ".join(rng.choices("abcdefgh", k=9)) for _ in range(FEW)] for _ in range(2)]
    alone = [rouge(*pair) for pair in zip(*texts, strict=True)]
    monkeypatch.setattr(module, "chr", lambda n: chr(n) if n < 5 else chr(0x110000), raising=False)
    assert rouge_many(*texts) == alone
