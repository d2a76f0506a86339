"""The hand-written text files of the corpus, read once, and the filling of their slots."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "ru"]
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Texts:
    """What one language's files hold."""

    patterns: tuple[str, ...]
    """Sentences with slots in braces."""
    slots: dict[str, tuple[str, ...]]
    """Slot → its fillers."""
    definitions: tuple[tuple[str, str], ...]
    """Term and definition."""
    paragraphs: tuple[tuple[str, ...], ...]
    """Prose without slots, each paragraph as its sentences."""
    talk: tuple[tuple[str, str], ...]
    """A greeting or a simple question, and its answer."""
    stories: tuple[tuple[str, str], ...]
    """Kind of sum and a word problem with the slots a, b, c."""


@cache
def texts(language: Language) -> Texts:
    """The files of ``language``."""
    slots: dict[str, list[str]] = defaultdict(list)
    for slot, filler in _pairs(language, "slots"):
        slots[slot].append(filler)
    return Texts(
        patterns=tuple(_lines(language, "patterns")),
        slots={slot: tuple(fillers) for slot, fillers in slots.items()},
        definitions=tuple(_pairs(language, "definitions")),
        paragraphs=tuple(
            tuple(re.split(r"(?<=[.!?]) ", line)) for line in _lines(language, "advice")
        ),
        talk=tuple(_pairs(language, "talk")),
        stories=tuple(_pairs(language, "stories")),
    )


def fill(rng: random.Random, language: Language, pattern: str) -> str:
    """``pattern`` with every slot filled, its first letter raised."""
    slots = texts(language).slots

    def filler(match: re.Match[str]) -> str:
        made = _MADE.get(match[1])
        return made(rng, language) if made else rng.choice(slots[match[1]])

    text = _SLOT.sub(filler, pattern)
    return text[:1].upper() + text[1:]


def slots_of(pattern: str) -> list[str]:
    """The names of the slots in ``pattern``."""
    return _SLOT.findall(pattern)


def _lines(language: Language, kind: str) -> list[str]:
    folder = files("harness.tiny_models.corpus").joinpath("text")
    text = folder.joinpath(f"{language}_{kind}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip()]


def _pairs(language: Language, kind: str) -> list[tuple[str, str]]:
    found = []
    for line in _lines(language, kind):
        first, _, second = line.partition("\t")
        found.append((first.strip(), second.strip()))
    return found


def _number(rng: random.Random, _: Language) -> str:
    return str(rng.randint(2, 98))


def _percent(rng: random.Random, language: Language) -> str:
    if rng.random() < 0.3:
        mark = "," if language == "ru" else "."
        return f"{rng.randint(0, 40)}{mark}{rng.randint(1, 9)}%"
    return f"{rng.randint(1, 60)}%"


def _money(rng: random.Random, language: Language) -> str:
    amount = rng.choice([rng.randint(2, 99), 10 * rng.randint(1, 99), 50 * rng.randint(1, 40)])
    if language == "ru":
        return f"{amount} {rng.choice(['руб.', 'тыс. руб.', 'млн руб.', 'млн руб.', 'млрд руб.'])}"
    return rng.choice(["${} million", "{} million dollars", "${}", "{} dollars", "${},000"]).format(
        amount
    )


def _year(rng: random.Random, _: Language) -> str:
    return str(rng.randint(1995, 2029))


_MADE = {"number": _number, "percent": _percent, "money": _money, "year": _year}
"""Slots that are made, not listed."""
