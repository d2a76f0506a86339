"""Paragraphs of plain prose: filled patterns, hand-written passages and definitions."""

from __future__ import annotations

import random

from harness.tiny_models.corpus.texts import Language, fill, texts


def paragraph(rng: random.Random, language: Language) -> str:
    """Two to six sentences of ``language``."""
    kind = rng.random()
    if kind < 0.10:
        return " ".join(definition(rng, language) for _ in range(rng.randint(1, 3)))
    if kind < 0.28:
        return passage(rng, language)
    return " ".join(sentence(rng, language) for _ in range(rng.randint(2, 6)))


def sentence(rng: random.Random, language: Language) -> str:
    """One filled pattern."""
    return fill(rng, language, rng.choice(texts(language).patterns))


def passage(rng: random.Random, language: Language) -> str:
    """A hand-written paragraph, or the beginning of one and the end of another."""
    first = rng.choice(texts(language).paragraphs)
    if rng.random() < 0.4:
        return " ".join(first)
    second = rng.choice(texts(language).paragraphs)
    cut, resume = rng.randint(1, len(first)), rng.randint(0, len(second) - 1)
    return " ".join((*first[:cut], *second[resume:]))


def definition(rng: random.Random, language: Language) -> str:
    """One definition in one of several wordings."""
    term, text = rng.choice(texts(language).definitions)
    if language == "ru":
        forms = ["{T} — это {d}.", "{T}: {d}.", "Что такое {t}? Это {d}."]
    else:
        forms = ["{T} is {d}.", "{T} means {d}.", "By {t} people mean {d}.", "{T}: {d}."]
    return rng.choice(forms).format(T=term[:1].upper() + term[1:], t=term, d=text)
