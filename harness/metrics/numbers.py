"""Whether the number in an answer is the gold one.

Without a declared unit a number counts as written, with its scale word worked in, and a percentage
also as its share ("25%" is 25 and 0.25). With one ("млн руб.", "million", "%"), it is converted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from harness.errors import HarnessError
from harness.metrics.reading.number_answer import NumberAnswer, choose_answer
from harness.metrics.reading.number_forms import WIDE, Found, Language, find_numbers
from harness.metrics.units import scale_of

__all__ = [
    "Found", "Gold", "Language", "NumberAnswer", "NumericScore", "choose_answer", "extract_answer",
    "find_numbers", "gold_decimal", "numeric_match", "read_gold",
]  # fmt: skip
_PLAIN = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")


_LONGEST = 30
"""A fraction with more digits than this when computed is treated as one that never ends."""


class Gold(NamedTuple):
    """A gold number."""

    value: Decimal
    """With its scale word worked in."""
    decimals: int | None
    """Digits behind the decimal mark; None of a fraction, which has no last digit."""
    scaled: bool = False
    """Whether it was written with a scale word."""


class NumericScore(NamedTuple):
    """Whether the answer is right, and the number that was read from it."""

    correct: bool
    found: Found | None
    ambiguous: bool = False


def extract_answer(text: str, *, language: Language) -> Found | None:
    """The number that ``text`` gives as its answer, or None."""
    return choose_answer(text, language=language).found


@lru_cache(maxsize=4096)
def read_gold(text: str, language: Language = "en") -> Gold | None:
    """The gold number in ``text``, read by the rules of answers; None if it is not a number.

    A plain decimal ("1234.5") is the same in every language.
    """
    if _PLAIN.fullmatch(text.strip()):
        value = Decimal(text.strip())
        exponent = value.as_tuple().exponent
        return Gold(value, max(0, -exponent) if isinstance(exponent, int) else 0)
    found, ambiguous = choose_answer(text, language=language)
    if found is None or (ambiguous and not found.marked):
        return None
    return Gold(found.scaled, None if found.fraction else found.decimals, found.scale != 1)


def gold_decimal(text: str, language: Language = "en") -> str | None:
    """The gold number in ``text`` as a plain decimal to store; None if it is not a number.

    A fraction that never ends, such as 1/3, stays as it is written.
    """
    gold = read_gold(text, language)
    if gold is None:
        return None
    endless = gold.decimals is None and len(gold.value.as_tuple().digits) > _LONGEST
    return text.strip() if endless else f"{gold.value:f}"


@lru_cache(maxsize=2**16)
def numeric_match(
    prediction: str,
    gold: str,
    *,
    language: Language,
    rel_tol: Decimal | None = None,
    abs_tol: Decimal = Decimal(0),
    unit: str | None = None,
) -> NumericScore:
    """Whether the answer in ``prediction`` is the gold number.

    Args:
        prediction: The model's text.
        gold: The right number, such as `1234.5`.
        language: Whose number formats the text uses.
        rel_tol: Allowed difference relative to the gold number. None: the answer, rounded to the
            decimals of the gold number, must equal it; a whole gold number must be met exactly.
        abs_tol: Allowed difference in the gold number's unit; the larger tolerance counts.
        unit: The gold number's unit. With a scale word in it (`млн руб.`), `0,15 млрд`, `150 млн`,
            `150 000 000` and a bare `150` all equal 150.

    Raises:
        HarnessError: the gold answer is not a number.
    """
    wanted = read_gold(gold, language)
    if wanted is None:
        hint = "Give a plain number such as 1234.5 in the gold column, or leave it out."
        raise HarnessError(f'the gold answer "{gold[:60]}" is not a number', hint=hint)
    found, ambiguous = choose_answer(prediction, language=language)
    if found is None:
        return NumericScore(False, None, ambiguous)
    allowed = max(abs_tol, _allowed(wanted, found, rel_tol))
    readings = [found.scaled] if wanted.scaled and found.scale != 1 else _readings(found, unit)
    near = any(abs(WIDE.subtract(value, wanted.value)) <= allowed for value in readings)
    return NumericScore(near, found, ambiguous)


def _allowed(wanted: Gold, found: Found, rel_tol: Decimal | None) -> Decimal:
    if rel_tol is not None:
        return WIDE.multiply(rel_tol, abs(wanted.value))
    if wanted.decimals is None:
        # 1/3 is met by 0.33 and 0.333, each rounded rightly; two decimals are the least. A fraction
        # that ends ("3/4") is as long as its decimals.
        return Decimal(5).scaleb(-max(2, found.decimals) - 1) if not found.fraction else _TINY
    # 12.345 is right for 12.35 and 12.34: both ways to round a half are taught. A whole number is
    # mostly a count, and 595 or 600.4 is not 600.
    return Decimal(5).scaleb(-wanted.decimals - 1) if wanted.decimals else _TINY


_TINY = Decimal("1e-12")
"""Rounding error allowed when a fraction or a root is computed with 40 to 60 digits."""


def _readings(found: Found, unit: str | None) -> Sequence[Decimal]:
    """What ``found`` may say in ``unit``: as written, and converted where a scale is known."""
    wanted = scale_of(unit) if unit else Decimal(1)
    if wanted != 1:
        converted = WIDE.divide(found.scaled, wanted)
        return [converted] if found.scale != 1 else [found.value, converted]
    if unit:
        return [found.value] if found.scale == 1 else [found.scaled]
    if found.unit == "%":
        return [found.value, WIDE.divide(found.value, Decimal(100))]
    return [found.value, found.scaled]
