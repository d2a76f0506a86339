"""Every example of docs/scoring.md is read as the page says."""

import re
from decimal import Decimal

from harness.metrics.classification import exact_match, parse_label
from harness.metrics.numbers import extract_answer

SENTIMENT = ("negative", "neutral", "positive")


def section(root, title):
    text = (root / "docs" / "scoring.md").read_text()
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text):
    for line in text.splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        examples = re.findall(r"`([^`]+)`", cells[2]) if len(cells) == 5 else []
        yield from zip(examples, cells[3].strip().split(", "), strict=False) if examples else ()


def test_labels(root):
    found = [
        (text, parse_label(text, SENTIMENT), said) for text, said in rows(section(root, "Labels"))
    ]
    assert len(found) >= 10
    assert [f for f in found if f[1] != f[2]] == []


def test_sentences_about_labels(root):
    said = re.findall(
        r"`([^`]+)`(?: alone)? (?:is|are) (negative|neutral|positive|unparsed)",
        section(root, "Labels"),
    )
    assert len(said) >= 6
    wrong = [(t, s) for t, s in said if (parse_label(t, SENTIMENT) or "unparsed") != s]
    assert wrong == []


def test_numbers(root):
    found = list(rows(section(root, "Numbers")))
    assert len(found) >= 5
    for text, value in found:
        number = extract_answer(text, language="en")
        assert number, text
        assert number.value == Decimal(value), text


def test_exact_match(root):
    line = section(root, "Exact match").splitlines()[-1]
    equal, other = line.strip("|").split(" | ")
    pair = re.compile(r"`([^`]+)` and `([^`]+)`")
    assert {exact_match(a, b) for a, b in pair.findall(equal)} == {1.0}
    assert {exact_match(a, b) for a, b in pair.findall(other)} == {0.0}
