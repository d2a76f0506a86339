"""Word problems of everyday life with their worked sums: reading numbers and calculating.

None asks for a financial ratio: these are left for fine-tuning to teach.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from harness.tiny_models.corpus.arithmetic import show
from harness.tiny_models.corpus.texts import Language, texts


class Story(NamedTuple):
    """A word problem, and its answer with the sum written out."""

    question: str
    answer: str


def story(rng: random.Random, language: Language) -> Story:
    """One word problem of ``language``."""
    kind, text = rng.choice(texts(language).stories)
    numbers, worked, result = KINDS[kind](rng)
    comma = language == "ru"
    shown = {name: show(value, comma=comma) for name, value in numbers.items()}
    equation = worked.format(**shown, r=show(result, comma=comma))
    last = equation.rpartition("= ")[2]
    forms = _ANSWERS_RU if comma else _ANSWERS_EN
    return Story(text.format(**shown), rng.choice(forms).format(e=equation, r=last))


_ANSWERS_RU = (
    "{e}",
    "{e}.",
    "Считаем: {e}.",
    "{e}. Это {r}.",
    "Вот решение: {e}",
    "{r}, так как {e}.",
)
_ANSWERS_EN = (
    "{e}",
    "{e}.",
    "We get {e}.",
    "{e}. That is {r}.",
    "Solution: {e}",
    "{r}, since {e}.",
)

Numbers = dict[str, Decimal]
Drawn = tuple[Numbers, str, Decimal]


def _base(rng: random.Random) -> Decimal:
    """A count: small, round, or any up to a thousand."""
    choices = [rng.randint(2, 60), 10 * rng.randint(2, 99), 100 * rng.randint(1, 40)]
    return Decimal(rng.choice([*choices, rng.randint(20, 990)]))


def _share(rng: random.Random) -> Drawn:
    whole = Decimal(10 * rng.randint(2, 99))
    part = whole * rng.randint(1, 60) / 100
    return {"a": part, "b": whole}, "{a} / {b} × 100% = {r}%", part / whole * 100


def _quotient(rng: random.Random) -> Drawn:
    b = _base(rng)
    ratio = Decimal(rng.choice([rng.randint(2, 40), rng.randint(5, 400) * 5])) / rng.choice(
        [1, 1, 100]
    )
    return {"a": b * ratio, "b": b}, "{a} / {b} = {r}", ratio


def _product(rng: random.Random) -> Drawn:
    a, b = _base(rng), Decimal(rng.randint(2, 30))
    return {"a": a, "b": b}, "{a} × {b} = {r}", a * b


def _difference(rng: random.Random) -> Drawn:
    a, b = sorted((_base(rng), _base(rng)), reverse=True)
    a += a == b
    return {"a": a, "b": b}, "{a} − {b} = {r}", a - b


def _growth(rng: random.Random) -> Drawn:
    old = Decimal(10 * rng.randint(2, 99))
    percent = rng.randint(1, 60)
    new = old * (100 + percent) / 100
    return {"a": old, "b": new}, "({b} − {a}) / {a} × 100% = {r}%", Decimal(percent)


def _rest_shared(rng: random.Random) -> Drawn:
    b, each, c = (
        Decimal(rng.randint(2, 90)),
        Decimal(rng.randint(2, 60)),
        Decimal(rng.randint(2, 300)),
    )
    return {"a": b * each + c, "b": b, "c": c}, "({a} − {c}) / {b} = {r}", each


def _triple(rng: random.Random) -> Drawn:
    a, b, c = _base(rng), Decimal(rng.randint(2, 20)), Decimal(rng.randint(2, 6))
    return {"a": a, "b": b, "c": c}, "{a} × {b} × {c} = {r}", a * b * c


def _days(rng: random.Random) -> Drawn:
    gap, days, c = (
        Decimal(rng.randint(2, 20)),
        Decimal(10 * rng.randint(1, 60)),
        Decimal(rng.randint(5, 99)),
    )
    return {"a": gap * days, "b": gap + c, "c": c}, "{a} / ({b} − {c}) = {r}", days


KINDS: dict[str, Callable[[random.Random], Drawn]] = {
    "share_percent": _share,
    "ratio": _quotient,
    "per_unit": _quotient,
    "product": _product,
    "difference": _difference,
    "growth": _growth,
    "rest_shared": _rest_shared,
    "triple": _triple,
    "days": _days,
}
"""Kind of word problem → its numbers, worked sum and result."""
