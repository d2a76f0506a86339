"""Numbers as people write them: a table of answers, gold numbers and whether they are right."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.metrics.numbers import choose_answer, extract_answer, numeric_match, read_gold
from harness.metrics.reading.latex import evaluate, is_expression
from harness.metrics.reading.latex_worker import value_of

CASES = [json.loads(line) for line in (Path(__file__).parent / "numbers.jsonl").open()]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_an_answer_is_right_where_a_person_says_so(language):
    wrong = [
        (case["text"], case["gold"], case["correct"])
        for case in CASES
        if case["language"] == language
        and numeric_match(case["text"], case["gold"], language=language).correct != case["correct"]
    ]
    assert wrong == []


def test_the_table_is_large_and_has_no_row_twice():
    assert len({(c["language"], c["text"], c["gold"]) for c in CASES}) == len(CASES) >= 200


def test_the_span_holds_what_was_read():
    for case in CASES:
        found = extract_answer(case["text"], language=case["language"])
        if found:
            assert case["text"][found.start : found.end] == found.text


# What each reader makes of a box: LaTeX, its value, whether our own rules read it, whether
# math-verify does. Neither covers the other.
READERS = [
    ("25", "25", True, True),
    ("-7.5", "-7.5", True, True),
    (r"\frac{3}{4}", "0.75", True, True),
    (r"\dfrac12", "0.5", True, True),
    (r"2\frac{1}{2}", "2.5", True, True),
    (r"1{,}234", "1234", True, True),
    (r"1\,234", "1234", True, False),
    (r"\text{25 apples}", "25", True, False),
    ("1 234 567", "1234567", True, False),
    ("½", "0.5", True, False),
    ("2½", "2.5", True, False),
    ("1.5 million", "1.5", True, False),
    (r"\sqrt{16}", "4", False, True),
    (r"2^{10}", "1024", False, True),
    (r"\frac{\sqrt{9}}{2}", "1.5", False, True),
    (r"3 \times 4", "12", False, True),
    (r"\frac{1+2}{4}", "0.75", False, True),
    (r"2\pi", "6.283185307179586476925286766559005768394", False, True),
]


@pytest.mark.parametrize(("latex", "value", "ours", "theirs"), READERS)
def test_the_two_readers_together_read_every_box(latex, value, ours, theirs):
    assert is_expression(latex) is not ours
    found = extract_answer(f"so \\boxed{{{latex}}}", language="en")
    assert found
    assert found.value == Decimal(value)
    alone = value_of(latex)
    assert (alone is not None and Decimal(alone) == Decimal(value)) is theirs


@pytest.mark.parametrize(
    "latex",
    [
        "9^{9^{9^9}}", "2^{99999}", r"\sqrt{" * 30 + "1" + "}" * 30 + r"^{9^9}", "9!!!!!", "170!",
        r"\int_0^1 x dx", r"\sum_{n=1}^{10} n", r"\sqrt{-1}", r"\frac{\pi}{0}", r"\sqrt{x}", r"\sqrt",
        "1" * 50 + "^2", r"\sqrt{2}" * 60,
    ],
)  # fmt: skip
def test_a_hostile_or_senseless_expression_is_unparsed(latex):
    assert evaluate(latex) is None
    assert choose_answer(f"\\boxed{{{latex}}}", language="en").found is None


@pytest.mark.parametrize(
    "text",
    ["1," * 9000, "1 " * 9000, "(" * 9000 + "1", "\\boxed{" * 3000, "1/" * 9000, "=" * 9000,
     "1e" * 9000, "answer " * 3000 + "1", "**1" * 3000, "the number " + "a " * 9000 + "1",
     "1 234" * 3000, "it " * 6000, "1." * 5000],
)  # fmt: skip
def test_a_hostile_answer_is_read_and_nothing_hangs(text):
    numeric_match(text, "1", language="en")


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("1234.5", "ru", "1234.5"), ("1.234", "ru", "1.234"), ("-3", "en", "-3"), ("2e6", "en", "2e6"),
        ("$1,234", "en", "1234"), ("1 234,5", "ru", "1234.5"), ("25%", "en", "25"), ("3/4", "en", "0.75"),
        ("24 + 48 = 72\n#### 72", "en", "72"), (r"\frac{1}{2}", "en", "0.5"), ("5 million", "en", "5000000"),
    ],
)  # fmt: skip
def test_gold_is_read_by_the_rules_of_answers(text, language, value):
    gold = read_gold(text, language)
    assert gold
    assert gold.value == Decimal(value)


@pytest.mark.parametrize("text", ["", "n/a", "five", "10-15", "5 or 6", "yes", "—"])
def test_a_gold_answer_that_is_no_number_is_named(text):
    assert read_gold(text) is None
    with pytest.raises(HarnessError, match="is not a number"):
        numeric_match("5", text, language="en")
