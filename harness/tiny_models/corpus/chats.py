"""Question and answer pairs in loose, everyday styles."""

from __future__ import annotations

import random
from typing import NamedTuple

from harness.tiny_models.corpus.arithmetic import equation
from harness.tiny_models.corpus.prose import passage, sentence
from harness.tiny_models.corpus.reading import exercise
from harness.tiny_models.corpus.stories import story
from harness.tiny_models.corpus.texts import Language, texts


class Chat(NamedTuple):
    """A user's message and an answer to it."""

    user: str
    answer: str


def chat(rng: random.Random, language: Language) -> Chat:
    """One exchange: a word problem, a sum, a definition, a look-up, a subject or small talk."""
    make = rng.choices(_KINDS, weights=_WEIGHTS)[0]
    return make(rng, language)


def _story(rng: random.Random, language: Language) -> Chat:
    return Chat(*story(rng, language))


def _exercise(rng: random.Random, language: Language) -> Chat:
    return Chat(*exercise(rng, language))


def _sum(rng: random.Random, language: Language) -> Chat:
    task, _, result = equation(rng, comma=language == "ru").rpartition(" = ")
    if language == "ru":
        ask = rng.choice(["Сколько будет {}?", "Посчитай: {}", "Вычисли {}.", "Чему равно {}?"])
        answer = rng.choice(["{t} = {r}", "Получается {r}.", "{r}", "Это {r}."])
    else:
        ask = rng.choice(["What is {}?", "Compute {}.", "Work out {}", "How much is {}?"])
        answer = rng.choice(["{t} = {r}", "That makes {r}.", "{r}", "It is {r}."])
    return Chat(ask.format(task), answer.format(t=task, r=result))


def _definition(rng: random.Random, language: Language) -> Chat:
    term, text = rng.choice(texts(language).definitions)
    if language == "ru":
        ask = rng.choice(["Что такое {}?", "Объясни, что значит {}.", "{} — что это?"])
        return Chat(ask.format(term), rng.choice(["Это {}.", "{}."]).format(text))
    ask = rng.choice(["What is {}?", "What does {} mean?", "Explain {} to me.", "Define {}."])
    return Chat(ask.format(term), rng.choice(["It is {}.", "{}.", "In short, {}."]).format(text))


def _about(rng: random.Random, language: Language) -> Chat:
    topic = rng.choice(texts(language).slots["thing"])
    asks = (
        ["Расскажи про {}.", "Что нового: {}?", "Напиши пару слов на тему: {}."]
        if language == "ru"
        else ["Tell me about {}.", "What is new with {}?", "Say something about {}."]
    )
    if rng.random() < 0.3:
        return Chat(rng.choice(asks).format(topic), passage(rng, language))
    answer = " ".join(sentence(rng, language) for _ in range(rng.randint(1, 4)))
    return Chat(rng.choice(asks).format(topic), answer)


def _talk(rng: random.Random, language: Language) -> Chat:
    return Chat(*rng.choice(texts(language).talk))


_KINDS = (_story, _sum, _definition, _exercise, _about, _talk)
_WEIGHTS = (34, 14, 10, 16, 22, 4)
