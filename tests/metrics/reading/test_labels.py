"""A label is read as a person reads it: a table of answers in the styles that models write."""

import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.metrics.classification import parse_label
from harness.metrics.reading.labels import read_label

CASES = [json.loads(line) for line in (Path(__file__).parent / "labels.jsonl").open()]
STYLES = sorted({case["style"] for case in CASES})
SENTIMENT = ("negative", "neutral", "positive")


@pytest.mark.parametrize("style", STYLES)
def test_an_answer_is_read_as_a_person_reads_it(style):
    wrong = [
        (case["text"], case["expected"], found)
        for case in CASES
        if case["style"] == style
        and (found := parse_label(case["text"], case["labels"])) != case["expected"]
    ]
    assert wrong == []


def test_the_table_has_every_style_and_no_row_twice():
    assert len({(case["text"], *case["labels"]) for case in CASES}) == len(CASES) >= 500
    assert sum(case["expected"] is None for case in CASES) >= 80


@pytest.mark.parametrize("case", [c for c in CASES if c["labels"] == list(SENTIMENT)][::7])
def test_the_span_holds_the_label_that_was_read(case):
    reading = read_label(case["text"], SENTIMENT)
    if reading:
        span = case["text"][reading.start : reading.end].lower().strip("\u200b")
        assert span in (reading.label, "ｐｏｓｉｔｉｖｅ")


@pytest.mark.parametrize("order", [SENTIMENT, SENTIMENT[::-1], ("neutral", "positive", "negative")])
def test_the_order_of_the_labels_changes_nothing(order):
    cases = [c for c in CASES if c["labels"] == list(SENTIMENT)]
    assert [parse_label(c["text"], order) for c in cases] == [c["expected"] for c in cases]


@pytest.mark.parametrize("ending", ["\n", "  ", "\n\n", "<|im_end|>", "</s>", "\n\nText: It fell."])
def test_what_ends_an_answer_changes_nothing(ending):
    cases = [c for c in CASES if c["style"] in ("bare", "label field", "verbose claim")]
    wrong = [
        c["text"] for c in cases if parse_label(c["text"] + ending, c["labels"]) != c["expected"]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "label:" * 3000, "positive " * 5000, "not " * 5000 + "positive", "<think>" * 3000,
        "\\boxed{" * 3000 + "positive", "\n" * 20000 + "positive", '"a b c d ' * 2000,
        "sentiment ((((" * 1000, "the sentiment of " + "x " * 20000, "<|channel|>analysis" * 2000,
    ],
)  # fmt: skip
def test_a_hostile_answer_is_read_and_nothing_hangs(text):
    assert parse_label(text, SENTIMENT) in (*SENTIMENT, None)


def test_labels_that_only_case_or_spacing_tells_apart_are_refused():
    with pytest.raises(HarnessError, match="not distinct"):
        parse_label("x", ["Yes", "yes"])
    assert parse_label(">30", ["<30", ">30"]) == ">30"
