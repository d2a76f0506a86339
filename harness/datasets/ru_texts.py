"""The categories of the Russian set whose answer is a text: one maker each."""

from __future__ import annotations

import random
from collections.abc import Callable

COMPANIES = ["Ромашка", "Северсталь-Юг", "Волга-Банк", "АгроДом", "ТехноЛайн", "Урал-Нефть"]
Maker = Callable[[random.Random], tuple[str, str]]


def metric_extraction(rng: random.Random) -> tuple[str, str]:
    """Metrics named in a sentence → a list of them."""
    name, profit, growth = rng.choice(COMPANIES), rng.randint(2, 90), rng.randint(3, 40)
    roe = rng.randint(5, 30)
    text = f"Извлеки показатели: «{name}» отчиталась о прибыли {profit} млрд руб. (+{growth}% г/г), ROE {roe}%"
    return text, f"прибыль: {profit} млрд руб.; рост: {growth}%; ROE: {roe}%"


def credit_risk(rng: random.Random) -> tuple[str, str]:
    """A borrower → the level of risk and its reason."""
    years, debt, income = rng.randint(1, 15), 10 * rng.randint(1, 40), 10 * rng.randint(10, 60)
    share = 100 * debt // income
    level = "низкий" if share < 30 and years > 3 else "средний" if share < 60 else "высокий"
    text = f"Оцени кредитный риск: бизнесу {years} лет, долг {debt} млн руб., выручка {income} млн руб."
    return text, f"Риск {level}: долг составляет {share}% выручки, возраст бизнеса {years} лет."


def esg(rng: random.Random) -> tuple[str, str]:
    """ESG facts → a judgement of each letter."""
    emissions, disputes, independent = rng.randint(-20, 20), rng.randint(0, 6), rng.randint(1, 8)
    e = "улучшение" if emissions < 0 else "ухудшение"
    s = "риск низкий" if disputes < 2 else "риск повышен"
    g = "совет независим" if independent > 3 else "совет зависим"
    text = (
        f"Оцени ESG-риски: выбросы {emissions:+d}%, трудовых споров {disputes},"
        f" независимых директоров {independent}"
    )
    return text, f"E: {e}; S: {s}; G: {g}."


def statement_analysis(rng: random.Random) -> tuple[str, str]:
    """A balance sheet in brief → equity and an assessment."""
    assets, debt = 10 * rng.randint(30, 90), 10 * rng.randint(5, 29)
    text = f"Проанализируй баланс: активы {assets} млн руб., обязательства {debt} млн руб."
    word = "устойчивое" if debt * 2 < assets else "напряжённое"
    return text, f"Капитал {assets - debt} млн руб., положение {word}."


def market_trends(rng: random.Random) -> tuple[str, str]:
    """Macroeconomic numbers → the effect on a sector."""
    rate, inflation = rng.randint(5, 21), rng.randint(2, 14)
    sector = rng.choice(["банки", "застройщики", "экспортёры", "ритейл"])
    text = f"Как повлияет ставка {rate}% при инфляции {inflation}% на сектор: {sector}?"
    word = "давление на сектор" if rate - inflation > 4 else "нейтральное влияние"
    return text, f"Реальная ставка {rate - inflation}%: {word} ({sector})."


TEXTS: dict[str, Maker] = {
    "metric_extraction": metric_extraction,
    "credit_risk": credit_risk,
    "esg": esg,
    "statement_analysis": statement_analysis,
    "market_trends": market_trends,
}
