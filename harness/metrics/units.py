"""Scale words of English and Russian: тыс., млн, млрд, thousand, million, billion."""

from __future__ import annotations

import re
from decimal import Decimal

_SCALES: tuple[tuple[str, int], ...] = (
    (r"тыс(?:\.|яч\w*)?", 3),
    (r"млн\.?|миллион\w*", 6),
    (r"млрд\.?|миллиард\w*", 9),
    (r"трлн\.?|триллион\w*", 12),
    (r"thousands?|k", 3),
    (r"millions?|mln\.?|mn|m", 6),
    (r"billions?|bln\.?|bn|b", 9),
    (r"trillions?|trn|tn", 12),
)
_WORD = re.compile(
    "|".join(f"(?P<s{i}>{words})" for i, (words, _) in enumerate(_SCALES)), re.IGNORECASE
)
_BEHIND = re.compile(r"[ \u00a0\u2009\u202f]?")


def scale_of(unit: str) -> Decimal:
    """What the scale word in ``unit`` multiplies by: a million for `млн руб.`, else 1."""
    for part in re.split(r"[\s/]+", unit.strip()):
        match = _WORD.fullmatch(part)
        if match:
            return _power(match)
    return Decimal(1)


def scale_after(text: str, end: int) -> Decimal:
    """The scale of the word after a number that ends at ``end``; 1 if it is no scale word."""
    gap = _BEHIND.match(text, end)
    match = _WORD.match(text, gap.end() if gap else end)
    if not match or text[match.end() : match.end() + 1].isalnum():
        return Decimal(1)
    return _power(match)


def _power(match: re.Match[str]) -> Decimal:
    index = int(str(match.lastgroup)[1:])
    return Decimal(10) ** _SCALES[index][1]
