from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.numbers import (
    choose_answer,
    extract_answer,
    find_numbers,
    numeric_match,
)

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
    ("(3,5)", "3.5"),
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
    ("срок 5 или 7 лет", "7"),
    ("(3,5) руб.", "3.5"),
    ("Ответ: 12,", "12"),
    ("Ответ: NPV = 50", "50"),
    ("было 1 и стало 2", "2"),
    ("Ответ: 0,8", "0.8"),
    ("Ответ: 3,75.", "3.75"),
    ("ответ равен нулю, то есть 0", "0"),
    ("Итого 12\u202f345\u202f678 руб.", "12345678"),
    ("Ответ: **42**", "42"),
    ("Получаем **17,5%** годовых за 2023 год", "17.5"),
    ("$$x = 12{,}5$$ то есть 12,5", "12.5"),
    (r"\boxed{0,25}", "0.25"),
    ("Выручка в 2023 году — 950 млн", "950"),
    ("Прибыль 120 млн руб. в 2024 году", "120"),
    ("На 31.12.2024 остаток 77 руб.", "77"),
    ("77 руб. на 31.12.2024", "77"),
    ("1. Считаем прибыль\n2. Получаем 45", "45"),
    ("Итог 45\n1. первый шаг\n2. второй шаг", "45"),
    ("Рентабельность ≈ 16,7%", "16.7"),
    ("ROE = 25 %", "25"),
    ("ROE = 25\u00a0%", "25"),
    ("маржа составила 7,0%", "7"),
    ("12 345 руб. 67 коп. Ответ: 12 345,67", "12345.67"),
    ("минус: −1 234,5", "-1234.5"),
    ("убыток составил −45", "-45"),
    ("убыток (45)", "-45"),
    ("рост на +12%", "12"),
    ("+5", "5"),
    ("NPV = 600 / 1,2 − 500 = 0", "0"),
    ("Сумма = 100 × 1,1^2 = 121. Ответ: 121", "121"),
    ("Платёж = 3000 × 0,33 = 990", "990"),
    ("Ответ: 150 / 600 = 0,25", "0.25"),
    ("Ответ: ROE = 150 / 600 × 100% = 25%", "25"),
    ("Ответ:\n15", "15"),
    ("Ответ - 15", "15"),
    ("ОТВЕТ: 15", "15"),
    ("Итого: 15", "15"),
    ("ответственность 5 и 6", "6"),
    ("1,5 раза", "1.5"),
    ("в 1,5 раза больше, чем 2", "2"),
    ("Точка безубыточности = 400 / (30 − 10) = 20 шт.", "20"),
    ("20 шт.", "20"),
    ("20шт", "20"),
    ("5 000 000", "5000000"),
    ("5000000", "5000000"),
    ("5.000.000", "5000000"),
    ("5.000,50", "5000.50"),
    ("0,5", "0.5"),
    (",5", "0.5"),
    ("0.05", "0.05"),
    ("1e3", "1000"),
    ("1,5e-2", "0.015"),
    ("3,3(3)", "3"),
    ("100 2024", "2024"),
    ("P/E = 45x", "45"),
    ("EPS: 30 руб./акция", "30"),
    ("Д/К=0,8", "0.8"),
    ("Итого=7", "7"),
    ("доля 1/4 или 0,25", "0.25"),
    ("-7", "-7"),
    ("– 7", "7"),
    ("сначала 3, потом 9!", "9"),
    ("(см. таблицу 2) ответ: 8", "8"),
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
    ("(3.5)", "3.5"),
    ("x = -7", "-7"),
    ("answer: -7.25", "-7.25"),
    ("Answer is: 25", "25"),
    ("The answer is $1,234.", "1234"),
    ("5k", "5"),
    ("3 bn", "3"),
    ("2.", "2"),
    (".5", "0.5"),
    ("15 - 10 = 5", "5"),
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
    ("29.00$", "29"),
    ("$29.00", "29"),
    ("$ 29.00", "29"),
    ("USD 29.00", "29"),
    ("1,450", "1450"),
    ("1.450,50", "1450.50"),
    ("1,450.50", "1450.50"),
    ("12,345,678.9", "12345678.9"),
    ("1 234 567", "1234567"),
    ("1\u202f234.5", "1234.5"),
    ("It equals 7,", "7"),
    ("It equals 7!", "7"),
    ("It equals 7?", "7"),
    ("the result is **3.2**", "3.2"),
    ("**Answer: 3.2** (rounded in 2024)", "3.2"),
    ("Therefore **18%** is the share of 50", "18"),
    (r"$\boxed{12}$", "12"),
    (r"\boxed{-0.75}", "-0.75"),
    (r"\boxed{$1,200}", "1200"),
    ("#### 1,080", "1080"),
    ("First 5 then 6\n#### 11", "11"),
    ("Final answer: 64", "64"),
    ("final answer is 64.", "64"),
    ("The answer is: 64 apples", "64"),
    ("the answer is -3", "-3"),
    ("Answer = 12", "12"),
    ("Answer: x = 12", "12"),
    ("Answer: 3 * 4 = 12", "12"),
    ("unanswered 5, then 6", "6"),
    ("answered 5 questions of 9", "9"),
    ("revenue in 2023 was 950", "950"),
    ("revenue was 950 in 2023", "950"),
    ("950 since 2019", "950"),
    ("year 2023", "2023"),
    ("due 12/05/2024: 300", "300"),
    ("300 due 12/05/2024", "300"),
    ("300 due 2024-05-12", "300"),
    ("1. add\n2. divide\nso 45", "45"),
    ("45 in all\n1) add\n2) divide", "45"),
    ("about ≈ 16.7%", "16.7"),
    ("25 percent", "25"),
    ("25%", "25"),
    ("0.25", "0.25"),
    ("+12%", "12"),
    ("(12%)", "12"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("\u22125.5", "-5.5"),
    ("2e6", "2000000"),
    ("2E-2", "0.02"),
    ("2.5x", "2.5"),
    ("3rd of 4", "4"),
    ("150 / 600 = 0.25", "0.25"),
    ("150/600=25%", "25"),
    ("a ratio of 3:1 or 3", "3"),
    ("1'234'567", "1234567"),
    ("1’234", "1234"),
    ("0", "0"),
    ("0.0", "0"),
    ("007", "7"),
    ("10^2 = 100", "100"),
    ("€1.234,56", "1234.56"),
    ("£1,234", "1234"),
]


@pytest.mark.parametrize(("text", "value"), RU)
def test_russian_answers(text, value):
    assert extract_answer(text, language="ru").value == Decimal(value)


@pytest.mark.parametrize(("text", "value"), EN)
def test_english_answers(text, value):
    assert extract_answer(text, language="en").value == Decimal(value)


@pytest.mark.parametrize("table", [RU, EN], ids=["ru", "en"])
def test_a_hundred_cases_stand_in_each_language(table):
    assert len({text for text, _ in table}) == len(table) >= 100


@pytest.mark.parametrize(
    ("text", "gold", "unit", "right"),
    [
        ("150 млн руб.", "150", "млн руб.", True),
        ("0,15 млрд руб.", "150", "млн руб.", True),
        ("150 000 тыс. руб.", "150", "млн руб.", True),
        ("150 000 000 руб.", "150", "млн руб.", True),
        ("150", "150", "млн руб.", True),
        ("150 тыс. руб.", "150", "млн руб.", False),
        ("150 млрд", "150", "млн руб.", False),
        ("1,5 миллиона", "1500", "тыс. руб.", True),
        ("5 тысяч рублей", "5000", "руб.", True),
        ("5 тысяч рублей", "5", "руб.", False),
        ("25%", "25", "%", True),
        ("25", "25", "%", True),
        ("0,25", "25", "%", False),
        ("1.5 billion dollars", "1500", "million", True),
        ("1.5bn", "1500", "million", True),
        ("$2m", "2", "million", True),
        ("$2k", "2", "million", False),
        ("5 meters", "5", "m", True),
        ("150 млн руб.", "150", None, True),
    ],
)
def test_scale_words_count_when_the_gold_has_a_unit(text, gold, unit, right):
    language = "ru" if any("а" <= c <= "я" for c in text + (unit or "")) else "en"
    assert numeric_match(text, gold, language=language, unit=unit).correct is right


@pytest.mark.parametrize(
    ("text", "ambiguous"),
    [
        ("5–7 лет", True),
        ("5 или 7", True),
        ("Ответ: 7 (из 9)", False),
        ("7 и ещё раз 7", False),
        ("a / b = 7", False),
        ("a / b = 7 или 8", True),
        ("прибыль 7 в 2024 году", False),
        ("7", False),
    ],
)
def test_an_unmarked_choice_between_numbers_is_ambiguous(text, ambiguous):
    assert choose_answer(text, language="ru").ambiguous is ambiguous


@pytest.mark.parametrize(
    ("text", "gold", "options", "right"),
    [
        ("0,004", "0", {"abs_tol": Decimal("0.01")}, True),
        ("0,02", "0", {"abs_tol": Decimal("0.01")}, False),
        ("0", "0", {}, True),
        ("101", "100", {"rel_tol": Decimal("0.01")}, True),
        ("101,1", "100", {"rel_tol": Decimal("0.01")}, False),
        ("101", "100", {}, False),
        ("100,5", "100", {"rel_tol": Decimal(0), "abs_tol": Decimal("0.5")}, True),
        ("100,6", "100", {"rel_tol": Decimal(0), "abs_tol": Decimal("0.5")}, False),
        ("-1e9999", "5", {}, False),
    ],
)
def test_the_larger_tolerance_counts(text, gold, options, right):
    assert numeric_match(text, gold, language="ru", **options).correct is right


@pytest.mark.parametrize("text", ["", "no number", ",", ".", "—", "a, b", "10–15%", "срок 5-7 лет"])
def test_no_number_is_none(text):
    assert extract_answer(text, language="ru") is None


def test_a_percentage_is_its_share_and_a_share_is_no_percentage():
    assert numeric_match("25%", "0.25", language="ru").correct
    assert not numeric_match("25%", "0.25", language="ru", unit="%").correct
    assert not numeric_match("0,25", "25", language="ru").correct


def test_tolerance_is_relative():
    near = {"language": "ru", "rel_tol": Decimal("0.01")}
    assert numeric_match("1,66", "1.67", **near).correct
    assert not numeric_match("1,60", "1.67", **near).correct
    assert not numeric_match("1,66", "1.67", language="ru").correct


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
