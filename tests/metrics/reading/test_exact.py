"""Two answers are equal where nothing but their writing differs."""

import pytest

from harness.metrics.classification import exact_match


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("Paris.", " paris"), ("PARIS", "Paris"), ('"Paris"', "Paris"), ("**Paris**", "paris"),
        ("`x = 1`", "x = 1"), ("new  york\n", "New York"), ("\u22125", "-5"), ("cafe\u0301", "caf\u00e9"),
        ("Учёт", "учет"), ("it’s", "it's"), ("What?", "what"), ("**Paris.**", "Paris"),
        ("ＡＢＣ", "abc"), ("5.", "5"), ("«Газпром»", "газпром"), ("", "  "), ("yes!", "Yes"),
    ],
)  # fmt: skip
def test_the_same_answer(prediction, reference):
    assert exact_match(prediction, reference) == exact_match(reference, prediction) == 1.0


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("C#", "C"), ("C++", "C"), ("<30", ">30"), ("<30", "30"), ("-5", "5"), ("+5", "5"),
        ("5 %", "5"), ("$5", "5"), ("(5)", "5"), ("2²", "22"), ("H₂O", "HO"), ("2½", "21/2"),
        ("5!", "5"), ("A", ""), ("the who", "who"), (".5", "5"), ("#1", "1"), ("a b", "ab"),
        ("1,000", "1000"), ("not A", "A"), ('"a" or "b"', 'a" or "b'), ("*", ""), ("~5", "5"),
        ("[x]", "x"), ("5", "5th"), ("x", "x'"), ("@home", "home"), (".NET", "NET"),
    ],
)  # fmt: skip
def test_another_answer(prediction, reference):
    assert exact_match(prediction, reference) == exact_match(reference, prediction) == 0.0
