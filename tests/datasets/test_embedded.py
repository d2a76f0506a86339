"""The texts of the embedded data sets are what their documents say."""

import itertools
from collections import Counter
from pathlib import Path

import pytest
from rapidfuzz import fuzz

from harness.datasets.sources import read_rows
from harness.datasets.splits import load_splits
from harness.suite.schema import DatasetEntry


@pytest.fixture(scope="module")
def questions():
    return read_rows(DatasetEntry(name="finance-qa"), Path())


def test_finance_qa_has_600_rows_over_150_bodies_and_seven_topics(questions):
    assert len(questions) >= 600
    assert len({row["output"] for row in questions}) >= 150
    assert len({row["category"] for row in questions}) == 7
    assert set(questions[0]) >= {"instruction", "input", "output", "category"}


def test_no_question_of_finance_qa_is_asked_twice(questions):
    asked = Counter((row["instruction"], row["input"]) for row in questions)
    assert [question for question, count in asked.items() if count > 1] == []


def test_questions_are_not_one_template(questions):
    openings = Counter(" ".join(row["instruction"].split()[:3]) for row in questions)
    assert openings.most_common(1)[0][1] < 0.1 * len(questions)


def test_bodies_of_finance_qa_are_distinct(questions):
    bodies = sorted({row["output"] for row in questions})
    close = [
        (a, b) for a, b in itertools.combinations(bodies, 2) if fuzz.token_set_ratio(a, b) > 75
    ]
    assert close == []


def test_a_body_of_finance_qa_never_stands_on_both_sides_of_the_split():
    splits = load_splits(DatasetEntry(name="finance-qa"), Path())
    assert not {e.reference for e in splits.train} & {e.reference for e in splits.test}


@pytest.fixture(scope="module")
def labelled():
    return read_rows(DatasetEntry(name="finance-labels"), Path())


def test_finance_labels_has_600_balanced_texts(labelled):
    counts = Counter(row["label"] for row in labelled)
    assert set(counts) == {"risk analysis", "earnings report", "market sentiment"}
    assert sum(counts.values()) >= 600
    assert max(counts.values()) == min(counts.values())


def test_texts_of_finance_labels_are_distinct(labelled):
    texts = [row["text"] for row in labelled]
    pairs = itertools.combinations(texts, 2)
    assert [pair for pair in pairs if fuzz.token_set_ratio(*pair) > 80] == []


def test_no_label_stands_in_its_text(labelled):
    assert [row["text"] for row in labelled if row["label"] in row["text"].lower()] == []


def test_ru_calculations_has_505_rows_and_its_categories():
    rows = read_rows(DatasetEntry(name="ru-calculations"), Path())
    assert len(rows) == 505
    assert {row["category"] for row in rows} == {
        "calculation", "metric_extraction", "credit_risk", "esg", "statement_analysis",
        "market_trends",
    }  # fmt: skip
