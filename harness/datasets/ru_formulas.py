"""Fourteen families of Russian financial calculations: how numbers are drawn, and the wordings."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

NBSP = "\u00a0"


@dataclass(frozen=True)
class Sum:
    """A drawn calculation: operands for the wording, the worked line, the result."""

    shown: dict[str, Decimal]
    worked: str
    result: Decimal
    unit: str = ""


def format_ru(number: Decimal, *, group_separator: str = NBSP) -> str:
    """``number`` with a decimal comma and grouped thousands."""
    whole, _, fraction = f"{number.normalize():f}".partition(".")
    if len(whole.lstrip("-")) > 4:
        whole = f"{int(whole):,}".replace(",", group_separator)
    return f"{whole},{fraction}" if fraction else whole


def _round(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _ratio(label: str, *, percent: bool) -> Callable[[random.Random], Sum]:
    def draw(rng: random.Random) -> Sum:
        b = Decimal(10 * rng.randint(4, 99))
        share = Decimal(
            rng.randint(2, 45)
            if percent
            else rng.choice([50, 75, 80, 120, 125, 150, 160, 200, 240, 250, 300])
        )
        a = b * share / 100
        x, y = format_ru(a), format_ru(b)
        tail = " × 100%" if percent else ""
        result = share if percent else share / 100
        return Sum({"a": a, "b": b}, f"{label} = {x} / {y}{tail}", result, "%" if percent else "")

    return draw


def _quick(rng: random.Random) -> Sum:
    b = Decimal(10 * rng.randint(4, 60))
    ratio = Decimal(rng.choice([60, 75, 80, 90, 110, 120, 125, 150])) / 100
    stock = Decimal(10 * rng.randint(1, 30))
    a = b * ratio + stock
    worked = f"Быстрая ликвидность = ({format_ru(a)} − {format_ru(stock)}) / {format_ru(b)}"
    return Sum({"a": a, "c": stock, "b": b}, worked, ratio)


def _per_share(label: str) -> Callable[[random.Random], Sum]:
    def draw(rng: random.Random) -> Sum:
        shares = Decimal(rng.choice([2, 4, 5, 8, 10, 20, 25, 40, 50]))
        value = Decimal(rng.randint(3, 60))
        a = shares * value
        return Sum({"a": a, "b": shares}, f"{label} = {format_ru(a)} / {format_ru(shares)}", value)

    return draw


def _simple(rng: random.Random) -> Sum:
    base, rate, years = Decimal(100 * rng.randint(1, 40)), rng.randint(3, 18), rng.randint(1, 5)
    worked = f"Проценты = {format_ru(base)} × {format_ru(Decimal(rate) / 100)} × {years}"
    shown = {"a": base, "r": Decimal(rate), "n": Decimal(years)}
    return Sum(shown, worked, base * rate * years / 100)


def _compound(rng: random.Random) -> Sum:
    base, rate, years = Decimal(100 * rng.randint(1, 20)), rng.choice([5, 8, 10, 12, 15, 20]), 2
    factor = 1 + Decimal(rate) / 100
    worked = f"Сумма = {format_ru(base)} × {format_ru(factor)}^{years}"
    shown = {"a": base, "r": Decimal(rate), "n": Decimal(years)}
    return Sum(shown, worked, _round(base * factor**years))


def _annuity(rng: random.Random) -> Sum:
    base, rate, years = (
        Decimal(100 * rng.randint(1, 30)),
        rng.choice([8, 10, 12, 15]),
        rng.randint(2, 4),
    )
    r = Decimal(rate) / 100
    k = _round(r * (1 + r) ** years / ((1 + r) ** years - 1))
    worked = f"Платёж = {format_ru(base)} × {format_ru(k)}"
    shown = {"a": base, "r": Decimal(rate), "n": Decimal(years)}
    return Sum(shown, worked, base * k)


def _npv(rng: random.Random) -> Sum:
    rate = Decimal(rng.choice([10, 20, 25]))
    present = Decimal(10 * rng.randint(4, 60))
    flow = present * (100 + rate) / 100
    cost = Decimal(10 * rng.randint(2, 60))
    worked = f"NPV = {format_ru(flow)} / {format_ru(1 + rate / 100)} − {format_ru(cost)}"
    return Sum({"a": flow, "r": rate, "b": cost}, worked, present - cost)


def _growth(rng: random.Random) -> Sum:
    old, percent = Decimal(10 * rng.randint(4, 90)), Decimal(rng.randint(2, 50))
    new = old * (100 + percent) / 100
    worked = f"Рост = ({format_ru(new)} − {format_ru(old)}) / {format_ru(old)} × 100%"
    return Sum({"a": new, "b": old}, worked, percent, "%")


def _break_even(rng: random.Random) -> Sum:
    margin, units = Decimal(rng.choice([2, 4, 5, 8, 10, 20])), Decimal(10 * rng.randint(2, 60))
    variable = Decimal(5 * rng.randint(1, 20))
    price, fixed = margin + variable, margin * units
    worked = (
        f"Точка безубыточности = {format_ru(fixed)} / ({format_ru(price)} − {format_ru(variable)})"
    )
    return Sum({"a": fixed, "p": price, "v": variable}, worked, units)


Draw = Callable[[random.Random], Sum]
FAMILIES: dict[str, tuple[Draw, list[str]]] = {
    "roe": (_ratio("ROE", percent=True), [
        "Рассчитай ROE, если прибыль {a} {m}, капитал {b} {m}",
        "Чистая прибыль компании {a} {m}, собственный капитал {b} {m}. Чему равен ROE?",
        "Найди рентабельность собственного капитала: прибыль {a} {m}, капитал {b} {m}.",
        "Капитал банка {b} {m}, прибыль за год {a} {m}. Вычисли ROE.",
    ]),
    "roa": (_ratio("ROA", percent=True), [
        "Рассчитай ROA, если прибыль {a} {m}, активы {b} {m}",
        "Активы компании {b} {m}, чистая прибыль {a} {m}. Чему равен ROA?",
        "Найди рентабельность активов: прибыль {a} {m}, активы {b} {m}.",
    ]),
    "net-margin": (_ratio("Маржа", percent=True), [
        "Рассчитай чистую маржу, если прибыль {a} {m}, выручка {b} {m}",
        "Выручка {b} {m}, чистая прибыль {a} {m}. Какова рентабельность продаж?",
        "Найди маржу чистой прибыли: прибыль {a} {m}, выручка {b} {m}.",
    ]),
    "current-ratio": (_ratio("Текущая ликвидность", percent=False), [
        "Рассчитай коэффициент текущей ликвидности: оборотные активы {a} {m}, краткосрочные обязательства {b} {m}",
        "Оборотные активы {a} {m}, краткосрочные обязательства {b} {m}. Найди текущую ликвидность.",
        "Какова текущая ликвидность, если обязательства {b} {m}, а оборотные активы {a} {m}?",
    ]),
    "quick-ratio": (_quick, [
        "Рассчитай быструю ликвидность: оборотные активы {a} {m}, запасы {c} {m}, краткосрочные обязательства {b} {m}",
        "Оборотные активы {a} {m}, из них запасы {c} {m}, обязательства {b} {m}. Найди быструю ликвидность.",
        "Какова быстрая ликвидность, если активы {a} {m}, запасы {c} {m}, обязательства {b} {m}?",
    ]),
    "debt-equity": (_ratio("D/E", percent=False), [
        "Рассчитай D/E, если долг {a} {m}, капитал {b} {m}",
        "Долг компании {a} {m}, собственный капитал {b} {m}. Чему равен D/E?",
        "Найди отношение долга к капиталу: долг {a} {m}, капитал {b} {m}.",
    ]),
    "eps": (_per_share("EPS"), [
        "Рассчитай EPS, если прибыль {a} млн руб., акций {b} млн",
        "Чистая прибыль {a} млн руб., в обращении {b} млн акций. Чему равен EPS?",
        "Найди прибыль на акцию: прибыль {a} млн руб., акций {b} млн штук.",
    ]),
    "pe": (_per_share("P/E"), [
        "Рассчитай P/E, если цена акции {a} руб., прибыль на акцию {b} руб.",
        "Акция стоит {a} руб., EPS {b} руб. Чему равен P/E?",
        "Найди мультипликатор P/E: цена {a} руб., прибыль на акцию {b} руб.",
    ]),
    "simple-interest": (_simple, [
        "Вклад {a} тыс. руб. под {r}% простых на {n} г. Сколько составят проценты?",
        "Рассчитай простые проценты: сумма {a} тыс. руб., ставка {r}%, срок {n} г.",
        "Найди доход по простым процентам: {a} тыс. руб., {r}% годовых, лет: {n}.",
    ]),
    "compound-interest": (_compound, [
        "Вклад {a} тыс. руб. под {r}% с капитализацией на {n} г. Какой будет сумма?",
        "Рассчитай сумму по сложным процентам: {a} тыс. руб., ставка {r}%, лет: {n}.",
        "Сколько станет {a} тыс. руб. через {n} г. при {r}% годовых со сложным начислением?",
    ]),
    "annuity": (_annuity, [
        "Кредит {a} тыс. руб. под {r}% на {n} г. Найди годовой аннуитетный платёж (коэффициент до сотых).",
        "Рассчитай аннуитет за год: сумма {a} тыс. руб., ставка {r}%, лет: {n}, коэффициент до сотых.",
        "Какой равный годовой платёж по кредиту {a} тыс. руб. под {r}% на {n} г.? Коэффициент до сотых.",
    ]),
    "npv": (_npv, [
        "Вложения {b} {m}, через год поток {a} {m}, ставка {r}%. Найди NPV.",
        "Рассчитай NPV: затраты {b} {m}, доход через год {a} {m}, дисконт {r}%.",
        "Проект стоит {b} {m} и через год даёт {a} {m}. Каков NPV при ставке {r}%?",
    ]),
    "growth": (_growth, [
        "Выручка выросла с {b} до {a} {m}. Каков рост в процентах?",
        "Рассчитай темп прироста: было {b} {m}, стало {a} {m}.",
        "Прибыль прошлого года {b} {m}, текущего {a} {m}. На сколько процентов она выросла?",
    ]),
    "break-even": (_break_even, [
        "Постоянные затраты {a} тыс. руб., цена {p} тыс. руб., переменные {v} тыс. руб. Найди точку безубыточности в штуках.",
        "Рассчитай точку безубыточности: затраты {a} тыс. руб., цена {p} тыс. руб., переменные на штуку {v} тыс. руб.",
        "Сколько штук нужно продать, чтобы покрыть {a} тыс. руб. при цене {p} и переменных {v} тыс. руб.?",
    ]),
}  # fmt: skip
"""Family → how its numbers are drawn, and its wordings."""
