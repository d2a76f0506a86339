from collections import Counter
from decimal import Decimal

import pytest

from harness.datasets.ru_calculations import generate
from harness.datasets.ru_formulas import FAMILIES, format_ru
from harness.errors import HarnessError
from harness.metrics.numbers import numeric_match

ROWS = generate()
CHECKS = {
    "roe": lambda a, b: a / b * 100,
    "roa": lambda a, b: a / b * 100,
    "net-margin": lambda a, b: a / b * 100,
    "current-ratio": lambda a, b: a / b,
    "quick-ratio": lambda a, c, b: (a - c) / b,
    "debt-equity": lambda a, b: a / b,
    "eps": lambda a, b: a / b,
    "pe": lambda a, b: a / b,
    "simple-interest": lambda a, r, n: a * r / 100 * n,
    "compound-interest": lambda a, r, n: a * (1 + r / 100) ** n,
    "annuity": lambda a, r, n: a * round(r / 100 / (1 - (1 + r / 100) ** -n), 2),
    "npv": lambda a, r, b: a / (1 + r / 100) - b,
    "growth": lambda a, b: (a - b) / b * 100,
    "break-even": lambda a, p, v: a / (p - v),
}


def test_the_set_has_505_distinct_rows_in_six_categories():
    assert len({row.instruction for row in ROWS}) == 505
    assert Counter(r.category for r in ROWS)["calculation"] == 455
    assert len({r.category for r in ROWS}) == 6


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gold_number_recomputes(family):
    rows = [row for row in ROWS if row.family == family]
    assert len(rows) >= 20
    for row in rows:
        inputs = [Decimal(value) for value in row.inputs]
        assert Decimal(row.gold) == pytest.approx(CHECKS[family](*inputs), abs=Decimal("0.0051"))


def test_every_reference_scores_its_own_gold():
    golds = [row for row in ROWS if row.gold]
    assert all(numeric_match(r.output, r.gold, language="ru").correct for r in golds)


def test_every_family_has_three_wordings():
    assert min(len(wordings) for _, wordings in FAMILIES.values()) >= 3


def test_another_seed_gives_other_rows():
    assert generate(100, seed=1) == generate(100, seed=1) != generate(100, seed=2)


def test_numbers_are_written_the_russian_way():
    assert format_ru(Decimal("12345.60")) == "12\u00a0345,6"


def test_no_template_and_no_numbers_cross_the_split():
    from pathlib import Path

    from harness.datasets.splits import load_splits
    from harness.suite.schema import DatasetEntry

    found = load_splits(DatasetEntry(name="ru-calculations", train=220, test=90), Path())
    assert not {e.group for e in found.train} & {e.group for e in found.test}
    assert (found.overlap.exact, found.overlap.near) == (0, 0)
    assert len({e.group for e in found.test}) >= 10


def test_no_family_has_the_same_numbers_twice():
    numbers = [(row.family, *row.inputs) for row in ROWS if row.gold]
    assert len(set(numbers)) == len(numbers)


def test_more_rows_than_there_are_numbers_is_refused(monkeypatch):
    monkeypatch.setattr("harness.datasets.ru_calculations.MOST_MISSES", 2)
    with pytest.raises(HarnessError, match="rows at most"):
        generate(200_000)
