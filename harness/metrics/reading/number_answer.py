r"""The number that an answer gives: boxed, marked, bold, or in the sentence that concludes.

A range is not a number, and neither is a LaTeX expression that nothing here can read: both are
unparsed, never the nearest digits.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from harness.metrics.reading.latex import evaluate, is_expression
from harness.metrics.reading.number_forms import Found, Language, find_numbers, in_range, in_sum
from harness.metrics.reading.reasoning import split_reasoning
from harness.metrics.reading.run_on import segments
from harness.metrics.reading.words_numbers import ASKED_FOR, CONCLUDING, HEADINGS, MARKS, NOTES

_MARK = re.compile(
    rf"(?<!\w)(?:{MARKS})(?!\w)\s*(?:\s(?:is|are)(?!\w))?\s*[:{{=—–-]*\s*(?:\w+\s*=\s*)?",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed\s*\{|<answer>")
_BOLD = re.compile(r"\*\*([^*\n]*\d[^*\n]*)\*\*(?P<colon>\s*:)?")
_HEADING = re.compile(rf"\W*(?:{HEADINGS})(?!\w)|.*:\s*\Z", re.IGNORECASE)
_CONCLUDING = re.compile(rf"(?<!\w)(?:{CONCLUDING})(?!\w)", re.IGNORECASE)
_ASKED_FOR = re.compile(rf"(?<!\w)(?:{ASKED_FOR})(?!\w)", re.IGNORECASE)
_SO = re.compile(r"(?<!\w)(?:so|therefore|thus|hence|значит|поэтому)(?!\w)", re.IGNORECASE)
_NOTE = re.compile(rf"\W*(?:{NOTES})", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|\Z)|\n")
_REACH = 24
"""Characters that may stand between an answer mark and its number."""


class NumberAnswer(NamedTuple):
    """The number taken for the answer, and how sure the choice is."""

    found: Found | None
    ambiguous: bool
    """Not marked, and two or more different numbers could be meant."""


_NONE = NumberAnswer(None, False)


def choose_answer(text: str, *, language: Language) -> NumberAnswer:
    """The number that ``text`` gives as its answer, behind its reasoning; see `docs/scoring.md`."""
    answer = split_reasoning(text).text
    for start, end in segments(answer):
        chosen = _choose(answer[start:end], language)
        if chosen.found or chosen.ambiguous:
            found = chosen.found
            if found:
                found = replace(found, start=found.start + start, end=found.end + start)
            return NumberAnswer(found, chosen.ambiguous)
    return _NONE


def _choose(text: str, language: Language) -> NumberAnswer:
    boxed = _boxed(text, language)
    if boxed is not None:
        return boxed
    numbers = find_numbers(text, language=language)
    if not numbers:
        return _NONE
    strong = [n for n in numbers if not n.weak] or numbers
    chosen = _marked(text, strong) or _bold(text, strong) or _last(text, strong)
    if chosen.found and (in_range(text, chosen.found) or in_sum(text, chosen.found)):
        return NumberAnswer(None, True)
    return chosen


def _boxed(text: str, language: Language) -> NumberAnswer | None:
    """What the last box holds; None where there is no box."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    start = boxes[-1].end()
    end = _closing(text, start) if boxes[-1][0] != "<answer>" else text.find("</answer>", start)
    end = len(text) if end < 0 else end
    content = text[start:end]
    numbers = find_numbers(content, language=language)
    if is_expression(content):
        value = evaluate(content)
        found = (
            Found(value, start, end, content, marked=True, fraction=True)
            if value is not None
            else None
        )
        return NumberAnswer(found, found is None and bool(numbers))
    if not numbers:
        return None
    strong = [n for n in numbers if not n.weak] or numbers
    chosen = _last_of_equation(content, strong)
    moved = replace(chosen, start=chosen.start + start, end=chosen.end + start, marked=True)
    several = in_range(content, chosen) or (
        "=" not in content and len({n.value for n in strong}) > 1
    )
    return NumberAnswer(None, True) if several else NumberAnswer(moved, False)


def _closing(text: str, start: int) -> int:
    """Where the brace that is open before ``start`` closes; -1 where it never does."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return -1


def _marked(text: str, numbers: Sequence[Found]) -> NumberAnswer | None:
    for mark in reversed(list(_MARK.finditer(text))):
        behind = [n for n in numbers if n.start >= mark.end() - 1]
        if not behind:
            continue
        between = text[mark.end() : behind[0].start]
        line = _same_line(text, behind)
        if len(between) > _REACH:
            # A sentence behind the mark: "Answer: In all, John has 5 + 3 = 8 apples."
            if "\n" not in between.strip() and mark[0].rstrip().endswith((":", "=")):
                return NumberAnswer(replace(_of_sentence(text, line)[0], marked=True), False)
            continue
        if re.search(r"[^\W\d_]{2}", between) and len(line) > 1:
            return NumberAnswer(replace(_of_sentence(text, line)[0], marked=True), False)
        return NumberAnswer(replace(_last_of_equation(text, behind), marked=True), False)
    return None


def _same_line(text: str, numbers: Sequence[Found]) -> list[Found]:
    end = text.find("\n", numbers[0].start)
    stop = re.compile(r"[.!?]\s").search(text, numbers[0].end)
    ends = [len(text) if end < 0 else end, stop.start() if stop else len(text)]
    return [n for n in numbers if n.start < min(ends)] or [numbers[0]]


def _last_of_equation(text: str, numbers: Sequence[Found]) -> Found:
    """The result of "Answer: 150 / 600 = 25", else the first number behind the mark."""
    line = _same_line(text, numbers)
    equals = text.rfind("=", numbers[0].end, line[-1].start)
    return next((n for n in line if 0 <= equals < n.start), numbers[0])


def _bold(text: str, numbers: Sequence[Found]) -> NumberAnswer | None:
    """The last bold number that is no heading, unless a later sentence concludes."""
    for bold in reversed(list(_BOLD.finditer(text))):
        inside = [n for n in numbers if bold.start(1) <= n.start < bold.end(1)]
        if not inside or bold["colon"] or _HEADING.match(bold[1]):
            continue
        later = [n for n in numbers if n.start >= bold.end()]
        if later and any(
            _CONCLUDING.search(text[slice(*span)])
            for span in (_sentence_at(text, n.start) for n in later)
            if span[0] >= bold.end()
        ):
            return None
        return NumberAnswer(replace(inside[-1], marked=True), False)
    return None


def _last(text: str, numbers: Sequence[Found]) -> NumberAnswer:
    """The number of the last sentence that has one and is no note."""
    spans = [_sentence_at(text, n.start) for n in numbers]
    telling = [
        k for k, span in enumerate(spans) if not _NOTE.match(text[span[0] : numbers[k].start])
    ]
    span = spans[telling[-1]] if telling else spans[-1]
    within = [n for n, own in zip(numbers, spans, strict=True) if own == span]
    found, sure = _of_sentence(text, within)
    others = within if sure == "equation" else numbers if sure == "last" else [found]
    if sure == "equation":
        others = [n for n in within if n.start >= found.start]
    return NumberAnswer(found, len({n.value for n in others}) > 1)


def _of_sentence(text: str, numbers: Sequence[Found]) -> tuple[Found, str]:
    """The number that a sentence ends up with, and how it was chosen."""
    first, last = _sentence_at(text, numbers[0].start)
    equals = max(text.rfind(sign, first, numbers[-1].start) for sign in ("=", "≈"))
    asked = [
        m.end() for m in _ASKED_FOR.finditer(text, first, last) if m.end() <= numbers[-1].start
    ]
    if asked and asked[-1] > equals and not _SO.search(text, asked[-1], numbers[-1].start):
        return next(n for n in numbers if n.end > asked[-1]), "asked"
    after = [n for n in numbers if n.start > equals] if equals >= 0 else []
    return (after[0], "equation") if after else (numbers[-1], "last")


def _sentence_at(text: str, position: int) -> tuple[int, int]:
    ends = _sentence_ends(text)
    k = bisect.bisect_right(ends, position)
    return ends[k - 1] if k else 0, ends[k] if k < len(ends) else len(text)


@lru_cache(maxsize=16)
def _sentence_ends(text: str) -> tuple[int, ...]:
    return tuple(m.end() for m in _SENTENCE_END.finditer(text))
