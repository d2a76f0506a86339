"""Sums as text, with the decimal point of English and the decimal comma of Russian."""

from __future__ import annotations

import random
from decimal import Decimal

NBSP = "\u00a0"


def sums(rng: random.Random) -> str:
    """Four to ten equations, one a line, in one of the two number formats."""
    comma = rng.random() < 0.6
    return "\n".join(equation(rng, comma=comma) for _ in range(rng.randint(4, 10)))


def equation(rng: random.Random, *, comma: bool) -> str:
    """One true equation; its result is mostly short."""
    return rng.choices(_FORMS, weights=_WEIGHTS)[0](rng, comma)


def show(number: Decimal, *, comma: bool, grouped: bool = False) -> str:
    """``number`` as written: trailing zeros dropped, `,` or `.`, thousands by no-break space."""
    text = f"{number.normalize():f}"
    whole, _, fraction = text.partition(".")
    if grouped and len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", NBSP if comma else ",")
    mark = "," if comma else "."
    return f"{whole}{mark}{fraction}" if fraction else whole


def _ratio(rng: random.Random) -> tuple[Decimal, Decimal, Decimal]:
    """a, b and a / b, where the ratio is short: the sum that every financial ratio needs."""
    b = Decimal(rng.choice([rng.randint(2, 99), 10 * rng.randint(2, 99), 50 * rng.randint(2, 40)]))
    ratio = Decimal(rng.choice([rng.randint(1, 60), rng.randint(1, 400)])) / 100
    if rng.random() < 0.3:
        ratio = Decimal(rng.randint(2, 40))
    return b * ratio, b, ratio


def _division(rng: random.Random, comma: bool) -> str:
    a, b, ratio = _ratio(rng)
    return f"{show(a, comma=comma)} / {show(b, comma=comma)} = {show(ratio, comma=comma)}"


def _percent(rng: random.Random, comma: bool) -> str:
    a, b, ratio = _ratio(rng)
    sign = rng.choice(["×", "×", "*"])
    return (
        f"{show(a, comma=comma)} / {show(b, comma=comma)} {sign} 100% = "
        f"{show(ratio * 100, comma=comma)}%"
    )


def _product(rng: random.Random, comma: bool) -> str:
    a = Decimal(rng.choice([rng.randint(2, 99), 10 * rng.randint(2, 99), 100 * rng.randint(2, 50)]))
    b = Decimal(rng.choice([rng.randint(2, 30), rng.randint(1, 300)])) / rng.choice([1, 1, 100])
    return f"{show(a, comma=comma)} × {show(b, comma=comma)} = {show(a * b, comma=comma)}"


def _sum(rng: random.Random, comma: bool) -> str:
    a, b = (Decimal(rng.randint(2, 999)) * rng.choice([1, 1, 10]) for _ in range(2))
    return f"{show(a, comma=comma)} + {show(b, comma=comma)} = {show(a + b, comma=comma)}"


def _difference(rng: random.Random, comma: bool) -> str:
    a, b = (Decimal(rng.randint(2, 999)) * rng.choice([1, 1, 10]) for _ in range(2))
    a, b = max(a, b), min(a, b)
    return f"{show(a, comma=comma)} − {show(b, comma=comma)} = {show(a - b, comma=comma)}"


def _growth(rng: random.Random, comma: bool) -> str:
    old = Decimal(10 * rng.randint(2, 90))
    percent = Decimal(rng.randint(1, 60))
    new = old * (100 + percent) / 100
    o, n = show(old, comma=comma), show(new, comma=comma)
    return f"({n} − {o}) / {o} × 100% = {show(percent, comma=comma)}%"


def _gap_ratio(rng: random.Random, comma: bool) -> str:
    part, b, ratio = _ratio(rng)
    less = Decimal(10 * rng.randint(1, 40))
    a = part + less
    return (
        f"({show(a, comma=comma)} − {show(less, comma=comma)}) / {show(b, comma=comma)} = "
        f"{show(ratio, comma=comma)}"
    )


def _interest(rng: random.Random, comma: bool) -> str:
    base = Decimal(100 * rng.randint(1, 90))
    rate = Decimal(rng.randint(2, 20)) / 100
    one = show(rate, comma=comma)
    return f"{show(base, comma=comma)} × (1 + {one}) = {show(base * (1 + rate), comma=comma)}"


def _grouped(rng: random.Random, comma: bool) -> str:
    a = Decimal(1000 * rng.randint(10, 9000))
    b = Decimal(1000 * rng.randint(10, 9000))
    x, y, z = (show(n, comma=comma, grouped=True) for n in (a, b, a + b))
    return f"{x} + {y} = {z}"


_FORMS = [
    _division,
    _percent,
    _product,
    _sum,
    _difference,
    _growth,
    _gap_ratio,
    _interest,
    _grouped,
]
_WEIGHTS = [30, 34, 10, 5, 5, 10, 8, 6, 2]
