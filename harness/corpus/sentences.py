"""Paragraphs from grammars over hand-written word lists, English and Russian."""

from __future__ import annotations

import random

from harness.corpus.words import DEFINITIONS, EN, RU


def paragraph(rng: random.Random) -> str:
    """Two to six sentences of one language, or a few definitions."""
    if rng.random() < 0.12:
        return " ".join(definition(rng) for _ in range(rng.randint(1, 3)))
    words = RU if rng.random() < 0.5 else EN
    return " ".join(sentence(rng, words) for _ in range(rng.randint(2, 6)))


def definition(rng: random.Random) -> str:
    """One definition in one of several wordings."""
    term, text, russian = rng.choice(DEFINITIONS)
    if russian:
        forms = ["{T} — это {d}.", "{T}: {d}.", "Что такое {t}? Это {d}."]
    else:
        forms = ["{T} is {d}.", "{T} means {d}.", "By {t} people mean {d}.", "{T}: {d}."]
    return rng.choice(forms).format(T=term[:1].upper() + term[1:], t=term, d=text)


def sentence(rng: random.Random, words: dict[str, list[str]]) -> str:
    """A pattern of ``words`` with every slot filled, its first letter raised."""
    text = rng.choice(words["pattern"])
    while "{" in text:
        head, _, rest = text.partition("{")
        slot, _, tail = rest.partition("}")
        filled = str(rng.randint(2, 98)) if slot == "number" else rng.choice(words[slot])
        text = f"{head}{filled}{tail}"
    return text[:1].upper() + text[1:]
