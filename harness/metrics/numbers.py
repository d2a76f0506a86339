"""Numbers in English and Russian text, read in Decimal arithmetic, and compared with a gold one.

A marked answer ("Ответ: 25%", "Answer: 25%", "#### 25", a LaTeX box) comes before the number
after the last "=", and that before the last number. Multiplier words (млн, billion) are a
unit: the value is the number as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

Language = Literal["en", "ru"]
_GAP = "[ \u00a0\u2009\u202f']"
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<sign>[-−–+])?(?P<pre>[$€₽£]\s?)?"
    rf"(?P<body>\d{{1,3}}(?:{_GAP}\d{{3}})+(?:[.,]\d+)?|\d[\d.,]*\d|\d|\.\d+)"
    rf"(?P<exp>[eE][-+]?\d+)?(?P<post>\s?%)?(?P<close>\))?"
)
_MARK = re.compile(
    r"(?:ответ|итого|answer(?:\s+is)?|####|\\boxed)\s*[:{=—-]*\s*(?:\w+\s*=\s*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Found:
    """A number found in a text."""

    value: Decimal
    start: int
    end: int
    text: str
    """The span ``text[start:end]`` it was read from."""
    unit: str | None = None
    """`%` or a currency sign."""
    marked: bool = False
    """Whether it stands behind an answer mark."""


class NumericScore(NamedTuple):
    """Whether the answer is right, and what was taken for it."""

    correct: bool
    found: Found | None


def find_numbers(text: str, *, language: Language) -> list[Found]:
    """Every number in ``text``, in order."""
    found = []
    for match in _NUMBER.finditer(text):
        number = _found(text, match, language)
        if number is not None:
            found.append(number)
    return found


def extract_answer(text: str, *, language: Language) -> Found | None:
    """The number that ``text`` gives as its answer, or None."""
    numbers = find_numbers(text, language=language)
    if not numbers:
        return None
    for mark in reversed(list(_MARK.finditer(text))):
        behind = [n for n in numbers if n.start >= mark.end() - 1]
        if behind and behind[0].start - mark.end() <= 24:
            first = behind[0]
            return Found(first.value, first.start, first.end, first.text, first.unit, marked=True)
    equals = text.rfind("=")
    after = [n for n in numbers if n.start > equals] if equals >= 0 else []
    return after[0] if after else numbers[-1]


def numeric_match(
    prediction: str, gold: str, *, language: Language, rel_tol: Decimal = Decimal("0.01")
) -> NumericScore:
    """Whether the answer in ``prediction`` is within ``rel_tol`` (relative) of ``gold``."""
    found = extract_answer(prediction, language=language)
    if found is None:
        return NumericScore(False, None)
    wanted = Decimal(gold)
    return NumericScore(abs(found.value - wanted) <= rel_tol * abs(wanted), found)


def _found(text: str, match: re.Match[str], language: Language) -> Found | None:
    value = _decimal(match["body"], match["exp"] or "", language)
    if value is None:
        return None
    start, end = match.span()
    sign = match["sign"]
    if sign and start > 0 and (text[start - 1].isalnum() or text[start - 1] in ")%"):
        sign = None
        start += 1
    bracketed = bool(match["open"] and match["close"] and not sign)
    if match["open"] and not bracketed:
        start += 1
    if match["close"] and not bracketed:
        end -= 1
    if sign in ("-", "−", "–") or bracketed:
        value = -value
    unit = "%" if match["post"] else (match["pre"] or "").strip() or None
    return Found(value, start, end, text[start:end], unit)


def _decimal(body: str, exponent: str, language: Language) -> Decimal | None:
    digits = re.sub(_GAP, "", body).rstrip(".,")
    point = _decimal_mark(digits, language)
    other = "," if point == "." else "."
    plain = digits.replace(other, "").replace(point, ".")
    try:
        return Decimal(f"{plain}{exponent}")
    except InvalidOperation:
        return None


def _decimal_mark(digits: str, language: Language) -> str:
    """Which of `.` and `,` is the decimal mark of ``digits``."""
    if "," in digits and "." in digits:
        return "," if digits.rfind(",") > digits.rfind(".") else "."
    for mark in ",.":
        if mark in digits:
            grouped = re.fullmatch(rf"[1-9]\d{{0,2}}(?:\{mark}\d{{3}})+", digits) is not None
            native = mark == ("," if language == "ru" else ".")
            if digits.count(mark) > 1 or (grouped and not native):
                return "." if mark == "," else ","
            return mark
    return "."
