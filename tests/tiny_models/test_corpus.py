"""The pretraining text is whole, true and not the evaluation sets."""

import random
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from harness.tiny_models.corpus import chats, documents
from harness.tiny_models.corpus.arithmetic import equation
from harness.tiny_models.corpus.stories import KINDS, story
from harness.tiny_models.corpus.texts import fill, slots_of, texts

MADE = {"number", "percent", "money", "year"}
LANGUAGES = ("en", "ru")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_has_fillers(language):
    found = texts(language)
    wanted = {slot for pattern in found.patterns for slot in slots_of(pattern)}
    assert wanted - MADE - set(found.slots) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_filling_leaves_no_brace(language):
    rng = random.Random(0)
    for pattern in texts(language).patterns:
        assert not re.search(r"[{}]", fill(rng, language, pattern))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_story_is_told_and_has_three_wordings(language):
    kinds = [kind for kind, _ in texts(language).stories]
    assert {kind: kinds.count(kind) >= 3 for kind in KINDS} == dict.fromkeys(KINDS, True)


def test_there_are_120_definitions():
    assert sum(len(texts(language).definitions) for language in LANGUAGES) >= 120


def value(text, *, comma):
    plain = text.replace("\u00a0", "").replace("%", "")
    return Decimal(plain.replace(",", ".") if comma else plain.replace(",", ""))


def calculated(task, *, comma):
    text = task.replace("\u00a0", "").replace("× 100%", "* 100").replace("* 100%", "* 100")
    text = text.replace(",", "." if comma else "").replace("×", "*").replace("−", "-")
    return eval(re.sub(r"[\d.]+", lambda m: f"Decimal('{m[0]}')", text))


@given(st.integers(0, 10**9), st.booleans())
def test_every_equation_is_true(seed, comma):
    task, _, result = equation(random.Random(seed), comma=comma).rpartition(" = ")
    assert calculated(task, comma=comma) == value(result, comma=comma)


@given(st.integers(0, 10**9), st.sampled_from(LANGUAGES))
def test_every_story_s_sum_is_true_and_uses_its_numbers(seed, language):
    told = story(random.Random(seed), language)
    comma = language == "ru"
    task, result = re.search(r"([(\d][^=А-яA-z]*) = ([\d.,]*\d%?)", told.answer).groups()
    assert calculated(task, comma=comma) == value(result, comma=comma)
    for number in re.findall(r"\d[\d,.]*\d|\d", task.replace("× 100%", "")):
        assert number in told.question


def test_the_same_seed_makes_the_same_text():
    assert list(documents(5, 50)) == list(documents(5, 50))
    assert list(chats(5, 50)) == list(chats(5, 50))
    assert list(documents(5, 50)) != list(documents(6, 50))


def test_no_paragraph_stands_in_an_evaluation_set():
    from harness.datasets.sources import read_rows
    from harness.suite.schema import DatasetEntry

    bodies = {row["output"] for row in read_rows(DatasetEntry(name="finance-qa"), Path())}
    for sentences in texts("en").paragraphs:
        paragraph = " ".join(sentences)
        assert max(fuzz.ratio(paragraph, body) for body in bodies) < 60


def test_no_financial_ratio_of_the_russian_set_is_asked_in_the_corpus():
    text = "\n".join(f"{c.user} {c.answer}" for c in chats(1, 3000))
    assert not re.search(r"\b(ROE|ROA|EPS|P/E|NPV|D/E)\b", text)
