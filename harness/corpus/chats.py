"""Question and answer pairs in loose, everyday styles."""

from __future__ import annotations

import random

from harness.corpus.arithmetic import equation
from harness.corpus.sentences import sentence
from harness.corpus.words import DEFINITIONS, EN, RU, SMALL_TALK


def chat(rng: random.Random) -> tuple[str, str]:
    """A user's message and an answer to it."""
    kind = rng.random()
    if kind < 0.35:
        return _sum(rng)
    if kind < 0.6:
        return _definition(rng)
    if kind < 0.7:
        return rng.choice(SMALL_TALK)
    return _about(rng)


def _sum(rng: random.Random) -> tuple[str, str]:
    comma = rng.random() < 0.6
    task, _, result = equation(rng, comma=comma).rpartition(" = ")
    if comma:
        ask = rng.choice(["Сколько будет {}?", "Посчитай: {}", "Вычисли {}.", "Чему равно {}?"])
        answer = rng.choice(["{t} = {r}", "Получается {r}.", "{r}", "Это {r}."])
    else:
        ask = rng.choice(["What is {}?", "Compute {}.", "Work out {}", "How much is {}?"])
        answer = rng.choice(["{t} = {r}", "That makes {r}.", "{r}", "It is {r}."])
    return ask.format(task), answer.format(t=task, r=result)


def _definition(rng: random.Random) -> tuple[str, str]:
    term, text, russian = rng.choice(DEFINITIONS)
    if russian:
        ask = rng.choice(["Что такое {}?", "Объясни, что значит {}.", "{} — что это?"])
        return ask.format(term), rng.choice(["Это {}.", "{}."]).format(text)
    ask = rng.choice(["What is {}?", "What does {} mean?", "Explain {} to me.", "Define {}."])
    return ask.format(term), rng.choice(["It is {}.", "{}.", "In short, {}."]).format(text)


def _about(rng: random.Random) -> tuple[str, str]:
    words = RU if rng.random() < 0.5 else EN
    topic = rng.choice(words["thing"])
    asks = (
        ["Расскажи про {}.", "Что нового: {}?", "Напиши пару слов на тему: {}."]
        if words is RU
        else ["Tell me about {}.", "What is new with {}?", "Say something about {}."]
    )
    answer = " ".join(sentence(rng, words) for _ in range(rng.randint(1, 3)))
    return rng.choice(asks).format(topic), answer
