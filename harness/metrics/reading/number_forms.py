r"""Every number in a text, in Decimal arithmetic: grouped, LaTeX, fractions, powers of ten.

English and Russian formats: "1,234.5", "1 234,5", "1\,234", "12{,}5", "\frac{3}{4}", "2½", "1/2",
"1.5 × 10^6", "(1,234)" for a loss.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException
from typing import Literal

from harness.metrics.reading.words_numbers import (
    ACCOUNTS,
    CURRENCY_CODES,
    MINUS,
    MONTHS,
    NUMBERED,
    PERCENT,
    YEAR_BEFORE,
    YEAR_BEHIND,
)
from harness.metrics.units import scale_after

Language = Literal["en", "ru"]
WIDE = Context(prec=60)
"""No rounding within what a text may hold."""
_MAX_EXPONENT = 400
"""Beyond the range of a double: no answer is meant to be that large."""
_GAP = r"(?:[ \u00a0\u2009\u202f'’]|\\[,;:! ]|~)"
_PLAIN = (
    rf"\d{{1,3}}(?:{_GAP}\d{{3}})+(?!\d)(?:[.,]\d+|\{{[.,]\}}\d+)?"
    r"|\d+(?:\{[.,]\}\d+)+|\d[\d.,]*\d|\d|[.,]\d+"
)
_VULGAR = "".join(chr(c) for c in (*range(0xBC, 0xBF), *range(0x2150, 0x215F)))
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NUMBER = re.compile(
    r"(?P<open>\()?(?P<sign>[-−–+])?(?P<pre>\\?[$€₽£¥]\s?(?P<inner>[-−(])?)?"
    r"(?:(?P<whole>\d+)?\s?\\[dtc]?frac\s*(?:\{\s*(?P<top>-?\d[\d.,]*)\s*\}\s*\{\s*(?P<bottom>\d[\d.,]*)"
    r"\s*\}|(?P<t>\d)\s*(?P<b>\d))"
    rf"|(?P<vwhole>\d+)?\s?(?P<vulgar>[{_VULGAR}])"
    # Not a date, and not a division that an equation goes on with.
    r"|(?:(?P<mixed>\d+)\s+)?(?<![\d/.,^])(?P<n>\d+)\s*/\s*(?P<d>[1-9]\d*)"
    r"(?![\d/.,]*\d|\s*[=×*^/+]|\s*\\)"
    rf"|(?P<body>{_PLAIN})"
    r"(?:(?P<exp>[eE][-+]?\d{1,4}(?!\w))|\s*(?:×|x|·|\*|\\times|\\cdot)\s*10\s*"
    r"(?:\^\s*\{?\s*(?P<power>[-−+]?\d{1,4})\s*\}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})))?)"
    rf"(?P<post>\s?\\?[%٪]|\s(?:{PERCENT}))?(?P<close>\))?",
    re.IGNORECASE,
)
_LIST_ITEM = re.compile(r"(?m)^\s*\d{1,2}[.)](?=\s)")
_DATE = re.compile(
    r"(?<![\d.,])(?:\d{1,2}[./]\d{1,2}[./]\d{4}|\d{4}-\d{2}-\d{2})(?!\d)"
    rf"|(?<!\w)(?:{MONTHS})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?(?![\d%])"
    rf"|(?<!\d)\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{MONTHS})(?!\w)(?:,?\s+\d{{4}})?"
    rf"|(?<!\w)(?:{MONTHS})\s+(?:19|20)\d\d(?!\d)|(?<!\w)(?:at|в)\s+\d{{1,2}}:\d\d(?!\d)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d\Z")
_YEAR_BEHIND = re.compile(rf"\s*(?:{YEAR_BEHIND})", re.IGNORECASE)
_YEAR_BEFORE = re.compile(rf"(?<!\w)(?:{YEAR_BEFORE})\s*\Z", re.IGNORECASE)
_NUMBERED = re.compile(rf"(?:(?<!\w)(?:{NUMBERED})|№|±|\\pm)\s*\Z", re.IGNORECASE)
_GLUED = re.compile(r"[^\W\d_]+\Z")
_MINUS_WORD = re.compile(rf"(?<!\w)(?:{MINUS})\s+\Z", re.IGNORECASE)
_ACCOUNT = re.compile(rf"(?<!\w)(?:{ACCOUNTS})[\s:=—–]*\\?[$€₽£¥]?\s*\Z", re.IGNORECASE)
_LETTER = re.compile(r"(\s?)[kmb](?!\w)(\s*[/^²³])?", re.IGNORECASE)
_SUM = re.compile(r"\s*(?:[*×·÷+^]|\\times|\\cdot|\\div)\s*[\d({]")
_SUM_BEFORE = re.compile(r"[\d)}]\s*(?:[*×·÷+^]|\\times|\\cdot|\\div)\s*\Z")
_RANGE = re.compile(
    r"\d\s?%?\s?[-–—]\s?\\?[$€₽£¥]?\Z|(?<!\w)(?:between|между)\s[^.\n]{1,30}\s(?:and|и)\s+\Z"
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
    """Whether it follows an answer mark."""
    scale: Decimal = Decimal(1)
    """What the scale word behind it multiplies by: a million for `млн`."""
    weak: bool = False
    """Whether it names or dates something: a year, "step 2", "Q3", "±2"."""
    fraction: bool = False
    """Whether it was written as a fraction, so that its digits do not say how exact it is."""

    @property
    def scaled(self) -> Decimal:
        """The value times its scale."""
        return WIDE.multiply(self.value, self.scale)

    @property
    def decimals(self) -> int:
        """Digits behind the decimal mark, as written."""
        exponent = self.value.as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0


def find_numbers(text: str, *, language: Language) -> list[Found]:
    """Every number in ``text``, in order; dates and the numbers of list items are none."""
    hidden = [m.span() for pattern in (_DATE, _LIST_ITEM) for m in pattern.finditer(text)]
    found = []
    for match in _NUMBER.finditer(text):
        if any(first <= _digits_at(match) < last for first, last in hidden):
            continue
        number = _found(text, match, language)
        if number is not None:
            found.append(number)
    return found


def in_range(text: str, number: Found) -> bool:
    """Whether the number is the end of a range: "10–15", "between 5 and 7"."""
    return _RANGE.search(text, max(0, number.start - 40), number.start) is not None


def in_sum(text: str, number: Found) -> bool:
    """Whether the number is part of something that is not worked out: "7 * 8", "10^6"."""
    before = text[max(0, number.start - 12) : number.start]
    return bool(_SUM.match(text, number.end) or _SUM_BEFORE.search(before))


def _digits_at(match: re.Match[str]) -> int:
    """Where the digits begin, behind bracket, sign and currency."""
    return next(
        match.start(name)
        for name in ("body", "n", "whole", "top", "t", "vwhole", "vulgar")
        if match[name] is not None
    )


def _found(text: str, match: re.Match[str], language: Language) -> Found | None:
    value = _value(match, language)
    if value is None:
        return None
    start, end = match.span()
    sign = match["sign"]
    if sign and start > 0 and (text[start - 1].isalnum() or text[start - 1] in ")%"):
        sign = None
        start += 1
    inner = match["inner"] or ""
    bracketed = bool(match["close"] and (match["open"] or inner == "("))
    before = text[max(0, start - 40) : start]
    # Brackets are minus on a balance sheet: behind a loss or an account, or around a currency.
    loss = bracketed and not sign and bool(match["pre"] or _ACCOUNT.search(before))
    if match["open"] and not loss:
        start += 1
    if match["close"] and not loss:
        end -= 1
    if sign in ("-", "−", "–") or inner in ("-", "−") or loss or _MINUS_WORD.search(before):
        value = value.copy_negate()
    unit = "%" if match["post"] else (match["pre"] or "").strip(" \\(-−") or None
    scale = Decimal(1) if unit == "%" or _is_unit(text, end, unit) else scale_after(text, end)
    piece = text[start:end]
    return Found(
        value, start, end, piece, unit, scale=scale,
        weak=_is_weak(text, start, end, unit), fraction=match["body"] is None,
    )  # fmt: skip


def _is_unit(text: str, end: int, unit: str | None) -> bool:
    """Whether the letter behind a number is a metre or a byte and not a million: "5 m", "5m/s"."""
    letter = _LETTER.match(text, end)
    return letter is not None and bool((letter[1] and not unit) or letter[2])


def _is_weak(text: str, start: int, end: int, unit: str | None) -> bool:
    before, behind = text[max(0, start - 24) : start], text[end : end + 6]
    year = unit is None and _YEAR.match(text[start:end])
    if year and (_YEAR_BEHIND.match(behind) or _YEAR_BEFORE.search(before)):
        return True
    if re.match(r"(?:st|nd|rd|th)(?!\w)", behind) or before.endswith("^"):
        return True
    glued = _GLUED.search(before)
    return bool(glued and glued[0].upper() not in CURRENCY_CODES) or bool(_NUMBERED.search(before))


def _value(match: re.Match[str], language: Language) -> Decimal | None:
    try:
        if match["body"] is not None:
            return _decimal(match, language)
        if match["vulgar"] is not None:
            top, _, bottom = unicodedata.normalize("NFKC", match["vulgar"]).partition("⁄")
            part = WIDE.divide(Decimal(top), Decimal(bottom or "1"))
            return WIDE.add(Decimal(match["vwhole"] or 0), part)
        top = match["top"] or match["t"] or match["n"]
        bottom = match["bottom"] or match["b"] or match["d"]
        share = WIDE.divide(plain_decimal(top, language), plain_decimal(bottom, language))
        return WIDE.add(Decimal(match["whole"] or match["mixed"] or 0), share)
    except DecimalException:
        return None


def _decimal(match: re.Match[str], language: Language) -> Decimal | None:
    value = plain_decimal(match["body"], language)
    power = match["power"] or (match["raised"] or "").translate(_RAISED)
    exponent = int((match["exp"] or "")[1:] or power.replace("−", "-") or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    return value.scaleb(exponent, WIDE) if exponent else value


def plain_decimal(body: str, language: Language) -> Decimal:
    """The decimal value of ``body``, digits with their separators, in ``language``."""
    digits = re.sub(rf"{_GAP}|[{{}}]", "", body).rstrip(".,")
    point = _decimal_mark(digits, language)
    other = "," if point == "." else "."
    return Decimal(digits.replace(other, "").replace(point, "."))


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
