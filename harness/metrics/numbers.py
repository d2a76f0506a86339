"""Numbers in English and Russian text, read in Decimal arithmetic, and compared with a gold one.

A marked answer ("Ответ: 25%", "Answer: 25%", "#### 25", a LaTeX box, bold) comes before the
number after the last "=", and that before the last number. Without a declared unit a number is
taken as written; with one ("млн руб.", "million", "%"), scale words are counted in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, DecimalException
from typing import Literal, NamedTuple

from harness.metrics.units import scale_after, scale_of

Language = Literal["en", "ru"]
_GAP = "[ \u00a0\u2009\u202f'’]"
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<sign>[-−–+])?(?P<pre>[$€₽£¥]\s?)?"
    rf"(?P<body>\d{{1,3}}(?:{_GAP}\d{{3}})+(?!\d)(?:[.,]\d+)?"
    rf"|\d+\{{[.,]\}}\d+|\d[\d.,]*\d|\d|[.,]\d+)"
    rf"(?P<exp>[eE][-+]?\d{{1,4}}(?!\w))?(?P<post>\s?[%٪])?(?P<close>\))?"
)
_MARK = re.compile(
    r"(?<!\w)(?:ответ|итого|final\s+answer|answer(?:\s+is)?|####|\\boxed)(?!\w)"
    r"\s*[:{=—–-]*\s*(?:\w+\s*=\s*)?",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*]*\d[^*]*)\*\*")
_LIST_ITEM = re.compile(r"(?m)^\s*\d{1,2}[.)](?=\s)")
_DATE = re.compile(r"(?<![\d.,])(?:\d{1,2}[./]\d{1,2}[./]\d{4}|\d{4}-\d{2}-\d{2})(?![\d])")
_YEAR = re.compile(r"(?:19|20)\d\d\Z")
_YEAR_WORD = re.compile(r"\s*(?:год|г\.)", re.IGNORECASE)
_YEAR_BEFORE = re.compile(r"(?:\b(?:in|since|by|of|year)|\b(?:за|в|на|с|до))\s*\Z", re.IGNORECASE)
_REACH = 24
"""Characters that may stand between an answer mark and its number."""
_WIDE = Context(prec=60)


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
    scale: Decimal = Decimal(1)
    """What the scale word behind it multiplies by: a million for `млн`."""

    @property
    def scaled(self) -> Decimal:
        """The value times its scale."""
        return _WIDE.multiply(self.value, self.scale)


class Answer(NamedTuple):
    """The number taken for the answer, and how sure the choice is."""

    found: Found | None
    ambiguous: bool
    """Not marked, and two or more different numbers could be meant."""


class NumericScore(NamedTuple):
    """Whether the answer is right, and what was taken for it."""

    correct: bool
    found: Found | None
    ambiguous: bool = False


def find_numbers(text: str, *, language: Language) -> list[Found]:
    """Every number in ``text``, in order; dates and the numbers of list items are none."""
    hidden = [m.span() for pattern in (_DATE, _LIST_ITEM) for m in pattern.finditer(text)]
    found = []
    for match in _NUMBER.finditer(text):
        if any(first <= match.start("body") < last for first, last in hidden):
            continue
        number = _found(text, match, language)
        if number is not None:
            found.append(number)
    return found


def choose_answer(text: str, *, language: Language) -> Answer:
    """The number that ``text`` gives as its answer: marked, else after `=`, else the last."""
    numbers = find_numbers(text, language=language)
    if not numbers:
        return Answer(None, False)
    marked = _marked(text, numbers)
    if marked:
        return Answer(replace(marked, marked=True), False)
    equals = max(text.rfind("="), text.rfind("≈"))
    after = [n for n in numbers if n.start > equals] if equals >= 0 else []
    if after:
        return Answer(after[0], len({n.value for n in after}) > 1)
    rest = [n for n in numbers if not _is_year(text, n)] or numbers
    return Answer(rest[-1], len({n.value for n in rest}) > 1)


def extract_answer(text: str, *, language: Language) -> Found | None:
    """The number that ``text`` gives as its answer, or None."""
    return choose_answer(text, language=language).found


def numeric_match(
    prediction: str,
    gold: str,
    *,
    language: Language,
    rel_tol: Decimal = Decimal("0.01"),
    abs_tol: Decimal = Decimal(0),
    unit: str | None = None,
) -> NumericScore:
    """Whether the answer in ``prediction`` is near ``gold``.

    Args:
        prediction: The model's text.
        gold: A plain decimal number, such as `1234.5`.
        language: Whose number formats the text uses.
        rel_tol: Allowed difference relative to the gold number.
        abs_tol: Allowed difference in the gold number's unit; the larger tolerance counts.
        unit: The gold number's unit. With a scale word in it (`млн руб.`), `0,15 млрд`, `150 млн`,
            `150 000 000` and a bare `150` all equal 150. None takes the number as written.
    """
    found, ambiguous = choose_answer(prediction, language=language)
    if found is None:
        return NumericScore(False, None)
    wanted = Decimal(gold)
    allowed = max(abs_tol, _WIDE.multiply(rel_tol, abs(wanted)))
    near = any(abs(_WIDE.subtract(value, wanted)) <= allowed for value in _readings(found, unit))
    return NumericScore(near, found, ambiguous)


def _readings(found: Found, unit: str | None) -> Sequence[Decimal]:
    """What ``found`` may say in ``unit``: as written, and converted where a scale is known."""
    wanted = scale_of(unit) if unit else Decimal(1)
    if wanted == 1:
        return [found.value] if not unit or found.scale == 1 else [found.scaled]
    converted = _WIDE.divide(found.scaled, wanted)
    return [converted] if found.scale != 1 else [found.value, converted]


def _marked(text: str, numbers: Sequence[Found]) -> Found | None:
    for mark in reversed(list(_MARK.finditer(text))):
        behind = [n for n in numbers if n.start >= mark.end() - 1]
        if behind and behind[0].start - mark.end() <= _REACH:
            return _last_of_equation(text, behind)
    for bold in reversed(list(_BOLD.finditer(text))):
        inside = [n for n in numbers if bold.start(1) <= n.start < bold.end(1)]
        if inside:
            return inside[-1]
    return None


def _last_of_equation(text: str, numbers: Sequence[Found]) -> Found:
    """The result of "Answer: 150 / 600 = 25", else the first number behind the mark."""
    line_end = text.find("\n", numbers[0].start)
    line = [n for n in numbers if line_end < 0 or n.start < line_end]
    equals = text.rfind("=", numbers[0].end, line[-1].start)
    return next((n for n in line if 0 <= equals < n.start), numbers[0])


def _is_year(text: str, number: Found) -> bool:
    """Whether a bare 19xx or 20xx stands where a year would."""
    if number.unit or not _YEAR.match(number.text):
        return False
    behind, before = text[number.end : number.end + 5], text[: number.start][-8:]
    return bool(_YEAR_WORD.match(behind) or _YEAR_BEFORE.search(before))


def _found(text: str, match: re.Match[str], language: Language) -> Found | None:
    value = _decimal(match["body"], match["exp"] or "", language)
    if value is None:
        return None
    start, end = match.span()
    sign = match["sign"]
    if sign and start > 0 and (text[start - 1].isalnum() or text[start - 1] in ")%"):
        sign = None
        start += 1
    inner = start > 0 and text[start - 1].isalnum()
    bracketed = bool(match["open"] and match["close"] and not sign and not inner)
    if match["open"] and not bracketed:
        start += 1
    if match["close"] and not bracketed:
        end -= 1
    if sign in ("-", "−", "–") or bracketed:
        value = value.copy_negate()
    unit = "%" if match["post"] else (match["pre"] or "").strip() or None
    scale = Decimal(1) if unit == "%" else scale_after(text, end)
    return Found(value, start, end, text[start:end], unit, scale=scale)


def _decimal(body: str, exponent: str, language: Language) -> Decimal | None:
    digits = re.sub(rf"{_GAP}|[{{}}]", "", body).rstrip(".,")
    point = _decimal_mark(digits, language)
    other = "," if point == "." else "."
    plain = digits.replace(other, "").replace(point, ".")
    try:
        return Decimal(f"{plain}{exponent}")
    except DecimalException:
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
