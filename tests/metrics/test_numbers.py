from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.numbers import extract_answer, find_numbers, numeric_match

RU = [
    ("5 300", "5300"),
    ("1'234'567", "1234567"),
    ("₽1 000", "1000"),
    ("29 руб.", "29"),
    ("29,00 ₽", "29"),
    ("0,001", "0.001"),
    ("1,234", "1.234"),
    ("1.234", "1234"),
    ("12.5", "12.5"),
    ("−0,5%", "-0.5"),
    ("(3,5)", "-3.5"),
    ("x = -7", "-7"),
    ("Ответ: -7,25", "-7.25"),
    ("Ответ:25", "25"),
    ("Ответ — 25%", "25"),
    ("Итого: 1 000 000 руб.", "1000000"),
    ("2,5 трлн", "2.5"),
    ("100%", "100"),
    ("в 2024 году прибыль 7", "7"),
    ("1)", "1"),
    ("№ 5", "5"),
    ("ответ: 12 345,6 тыс. руб.", "12345.6"),
    ("10–15%", "15"),
    ("ROE=25%", "25"),
    ("= 2,0.", "2.0"),
    ("1,2 и 3,4", "3.4"),
    ("Ответ: 1,67 (норма)", "1.67"),
    ("стало 1 234 , затем", "1234"),
    ("3×10=30", "30"),
    ("Ответ: −310", "-310"),
    ("Ответ: 25%", "25"),
    ("ROE = 150 / 600 × 100% = 25%", "25"),
    ("Итого 1 234,56 руб.", "1234.56"),
    ("Итого 1\u00a0234,56 руб.", "1234.56"),
    ("Итого 1\u2009234\u2009567 руб.", "1234567"),
    ("сумма 3,14", "3.14"),
    ("сумма 1.234,56", "1234.56"),
    ("убыток −12,5 млн", "-12.5"),
    ("убыток -12,5 млн", "-12.5"),
    ("убыток (1 200) тыс.", "-1200"),
    ("Ответ: 1,67. Это норма на 2024 год.", "1.67"),
    ("прибыль 150 млн руб.", "150"),
    ("рост 0,5 %", "0.5"),
    ("срок 5-7 лет", "7"),
    ("Ответ: 12,", "12"),
    ("Ответ: NPV = 50", "50"),
    ("было 1 и стало 2", "2"),
]
EN = [
    ("5,300", "5300"),
    ("$1,000,000", "1000000"),
    ("€29", "29"),
    ("£3.50", "3.50"),
    ("0.001", "0.001"),
    ("1,234", "1234"),
    ("12.5%", "12.5"),
    ("-0.5", "-0.5"),
    ("(3.5)", "-3.5"),
    ("x = -7", "-7"),
    ("answer: -7.25", "-7.25"),
    ("Answer is: 25", "25"),
    ("The answer is $1,234.", "1234"),
    ("5k", "5"),
    ("3 bn", "3"),
    ("2.", "2"),
    (".5", "0.5"),
    ("10-15", "15"),
    ("1.5e3", "1.5e3"),
    ("a1", "1"),
    ("#### -12", "-12"),
    ("\\boxed{1,000}", "1000"),
    ("2/4 = 0.5", "0.5"),
    ("5, 6 and 7", "7"),
    ("7 (about)", "7"),
    ("1 234", "1234"),
    ("1,23", "1.23"),
    ("1.234.567", "1234567"),
    ("100 %", "100"),
    ("−3", "-3"),
    ("Answer: $29.00", "29"),
    ("the answer is 1,234.56 dollars.", "1234.56"),
    ("#### 72", "72"),
    (r"so \boxed{3.5} it is", "3.5"),
    ("a total of 1,450", "1450"),
    ("a loss of (1,234)", "-1234"),
    ("it fell to -3.2%", "-3.2"),
    ("2 + 2 = 4", "4"),
    ("about 1e-3 in all", "0.001"),
    ("Answer: 12. That was in 1999.", "12"),
    ("costs 5 million", "5"),
    ("ends with 7.", "7"),
]


@pytest.mark.parametrize(("text", "value"), RU)
def test_russian_answers(text, value):
    assert extract_answer(text, language="ru").value == Decimal(value)


@pytest.mark.parametrize(("text", "value"), EN)
def test_english_answers(text, value):
    assert extract_answer(text, language="en").value == Decimal(value)


@pytest.mark.parametrize("text", ["", "no number", ",", ".", "—", "a, b"])
def test_no_number_is_none(text):
    assert extract_answer(text, language="ru") is None


def test_a_percent_is_no_fraction():
    assert not numeric_match("0,25", "25", language="ru").correct


def test_tolerance_is_relative():
    assert numeric_match("1,66", "1.67", language="ru").correct
    assert not numeric_match("1,60", "1.67", language="ru").correct


@given(st.text(max_size=60))
def test_spans_hold_the_digits_and_nothing_raises(text):
    for found in find_numbers(text, language="ru"):
        assert text[found.start : found.end] == found.text


@given(st.decimals(-(10**9), 10**9, places=2))
def test_both_locales_read_back_what_was_written(number):
    english = f"{number:,}"
    russian = english.replace(",", "\u00a0").replace(".", ",")
    assert extract_answer(english, language="en").value == number
    assert extract_answer(russian, language="ru").value == number
