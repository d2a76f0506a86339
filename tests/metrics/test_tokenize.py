"""Words and numbers of any script come out whole; ASCII tokens equal rouge_score's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem import porter
from rouge_score import tokenize as reference

from harness.metrics.tokenize import ascii_tokens, tokens_of, unicode_tokens

PORTER = porter.PorterStemmer()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Ёлка и Мёд", ["елка", "и", "мед"]),
        ("-5 %", ["-5", "%"]),
        ("\u22125%", ["-5", "%"]),
        ("5%", ["5", "%"]),
        ("3.14", ["3.14"]),
        ("3,14", ["3.14"]),
        ("0,125", ["0.125"]),
        ("1,234", ["1,234"]),
        ("1,234,567", ["1234567"]),
        ("1,234.56", ["1234.56"]),
        ("1.234,56", ["1234.56"]),
        ("1 234,56 руб.", ["1234.56", "руб"]),
        ("1\u00a0234\u202f567", ["1234567"]),
        ("12\u2009000", ["12000"]),
        ("в 2024 100 раз", ["в", "2024", "100", "раз"]),
        ("5-7", ["5", "7"]),
        ("covid-19", ["covid", "19"]),
        ("-$29.00", ["-29.00"]),
        ("1,2,3", ["1", "2", "3"]),
        ("15.03.2024", ["15.03.2024"]),
        ("10\u00b2", ["10", "2"]),
        ("15км", ["15", "км"]),
        ("don\u2019t", ["don't"]),
        ("café naïve", ["café", "naïve"]),
        ("हिन्दी", ["हिन्दी"]),
        ("你好", ["你", "好"]),
        ("... — !", []),
    ],
)
def test_unicode_tokens_of(text: str, tokens: list[str]) -> None:
    assert unicode_tokens(text) == tokens


def test_yo_is_kept_on_request() -> None:
    assert unicode_tokens("Ёлка", fold_yo=False) == ["ёлка"]


@given(st.text(max_size=80))
def test_unicode_tokens_of_any_text_hold_no_space_and_are_not_empty(text: str) -> None:
    assert all(token and not any(c.isspace() for c in token) for token in unicode_tokens(text))


@given(st.text(max_size=80))
def test_ascii_tokens_equal_rouge_score_without_stemmer(text: str) -> None:
    assert ascii_tokens(text) == reference.tokenize(text, None)


@given(st.text(alphabet="abcdefgiklnorstuyABЯё019 -'\n", max_size=80))
def test_ascii_tokens_equal_rouge_score_with_porter(text: str) -> None:
    assert ascii_tokens(text, "porter") == reference.tokenize(text, PORTER)


def test_snowball_joins_russian_forms_and_leaves_the_rest() -> None:
    assert len(set(tokens_of("книга книги книгу", "unicode", "snowball-russian"))) == 1
    assert tokens_of("running -5", "unicode", "snowball-russian") == ["running", "-5"]


@given(st.text(alphabet="abZ'%-_.,\n (", max_size=40))
def test_plain_ascii_is_cut_as_any_other_text(text):
    """A digit behind the text takes it the way of all scripts."""
    assert unicode_tokens(text) == unicode_tokens(f"{text} 0")[:-1]
