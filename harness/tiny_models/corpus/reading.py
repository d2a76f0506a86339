"""Reading exercises: find a value in a list of fields, or repeat a sentence."""

from __future__ import annotations

import random
from typing import NamedTuple

from harness.tiny_models.corpus.prose import sentence
from harness.tiny_models.corpus.texts import Language

FIELDS: dict[Language, dict[str, tuple[str, ...]]] = {
    "en": {
        "name": ("Anna", "Omar", "Lena", "Victor", "Mei", "Jonas", "Clara", "Tom", "Nadia", "Igor"),
        "town": ("Leeds", "Oslo", "Porto", "Quito", "Basel", "Turin", "Perth", "Lima", "Cork"),
        "colour": ("red", "green", "blue", "white", "black", "yellow", "grey", "orange"),
        "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        "animal": ("cat", "dog", "horse", "goat", "parrot", "rabbit", "duck", "turtle"),
        "job": ("cook", "driver", "teacher", "nurse", "painter", "baker", "pilot", "clerk"),
        "age": (), "weight": (), "price": (), "distance": (), "stock": (), "share": (),
    },
    "ru": {
        "имя": ("Анна", "Омар", "Лена", "Виктор", "Мария", "Иван", "Клара", "Фёдор", "Нина"),
        "город": ("Омск", "Псков", "Тверь", "Казань", "Сочи", "Курск", "Пермь", "Чита", "Уфа"),
        "цвет": ("красный", "зелёный", "синий", "белый", "чёрный", "жёлтый", "серый"),
        "день": ("понедельник", "вторник", "среда", "четверг", "пятница", "суббота"),
        "зверь": ("кот", "пёс", "конь", "козёл", "заяц", "утка", "черепаха", "лиса"),
        "работа": ("повар", "водитель", "учитель", "врач", "маляр", "пекарь", "пилот"),
        "возраст": (), "вес": (), "цена": (), "расстояние": (), "запас": (), "доля": (),
    },
}  # fmt: skip
"""Field → its values; an empty tuple means numbers."""
UNITS: dict[Language, tuple[str, ...]] = {
    "en": ("", " kg", " km", "%", " dollars", " pieces", " million"),
    "ru": ("", " кг", " км", "%", " руб.", " шт.", " млн", " млн руб.", " тыс. руб."),
}


class Exercise(NamedTuple):
    """A task and its answer."""

    task: str
    answer: str


def exercise(rng: random.Random, language: Language) -> Exercise:
    """A look-up in a list of fields; now and then a sentence to repeat."""
    if rng.random() < 0.12:
        text = sentence(rng, language)
        return Exercise(f"{'Repeat' if language == 'en' else 'Повтори'}: {text}", text)
    names = rng.sample(list(FIELDS[language]), rng.randint(2, 6))
    fields = {name: _value(rng, language, name) for name in names}
    listing = rng.choice(["; ", ", ", "\n"]).join(f"{name}: {v}" for name, v in fields.items())
    wanted = rng.sample(names, 1 if rng.random() < 0.6 else min(2, len(names)))
    ask = _asks(language, wanted)
    if len(wanted) == 1:
        answer = fields[wanted[0]]
    else:
        answer = "; ".join(f"{name}: {fields[name]}" for name in wanted)
    joined = (
        f"{listing}\n{rng.choice(ask)}" if rng.random() < 0.7 else f"{rng.choice(ask)} {listing}"
    )
    return Exercise(joined, answer)


def _asks(language: Language, wanted: list[str]) -> list[str]:
    both = (" and " if language == "en" else " и ").join(wanted)
    if language == "en":
        return [f"What is the {both}?", f"Find the {both}.", f"Give the {both}:", f"{both}?"]
    return [f"Найди: {both}.", f"Что записано: {both}?", f"Назови {both}:", f"{both}?"]


def _value(rng: random.Random, language: Language, name: str) -> str:
    listed = FIELDS[language][name]
    if listed:
        return rng.choice(listed)
    mark = "," if language == "ru" else "."
    number = str(rng.choice([rng.randint(1, 99), 10 * rng.randint(1, 99), rng.randint(100, 4000)]))
    if rng.random() < 0.25:
        number += f"{mark}{rng.randint(1, 9)}"
    return f"{number}{rng.choice(UNITS[language])}"
