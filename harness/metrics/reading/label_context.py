"""How a text treats each label it mentions: claims it, denies it, lists it or leaves it open."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from harness.metrics.reading.cues import both
from harness.metrics.reading.label_forms import Forms, Mention


class Grade(IntEnum):
    """How firmly a text presents a label as its answer."""

    DENIED = -2
    """Negated, one of a list of choices, in a question, or left open: no answer."""
    POSSIBLE = -1
    """"It could be …"."""
    NAMED = 0
    """Named and nothing more."""
    CLAIMED = 1
    """"This is a … statement"."""
    ANSWERED = 2
    """"The sentiment is …", "I would classify it as …"."""
    CONCLUDED = 3
    """"Therefore it is …"."""


class Judged(NamedTuple):
    """A mention and what is said of it."""

    mention: Mention
    grade: Grade


@dataclass(frozen=True)
class _Patterns:
    negated: re.Pattern[str]
    stop: re.Pattern[str]
    not_only: re.Pattern[str]
    neither: re.Pattern[str]
    joiner: re.Pattern[str]
    denied_behind: re.Pattern[str]
    unsaid: re.Pattern[str]
    whether: re.Pattern[str]
    conditional: re.Pattern[str]
    would: re.Pattern[str]
    approved: re.Pattern[str]
    first_thought: re.Pattern[str]
    maybe: re.Pattern[str]
    concluding: re.Pattern[str]
    subject: re.Pattern[str]
    classified: re.Pattern[str]
    copula: re.Pattern[str]
    carried: re.Pattern[str]
    behind: re.Pattern[str]
    choice: re.Pattern[str]
    out_of: re.Pattern[str]


_QUOTE = r"[\s\"'*_`(\[{<:\\$,]*"
_SENTENCE_END = re.compile(r"[.!?](?=[\s*\"')]|\Z)|\n|;")
_CLAUSE_END = re.compile(r"[:;!?\n—–]|\.(?=\s|\Z)|,(?=\s)")
# Four words or more: a shorter quotation is a name for the label. Not a JSON value, whose quote
# follows a colon.
_QUOTATION = re.compile(r'(?<!: )(?<!:)"[^"\n\s]+(?:[ \t]+[^"\n\s]+){3,}"')
_REACH = 9
"""Words that a negation reaches over: "does not contain language that suggests a *positive* …"."""


@cache
def _patterns() -> _Patterns:
    cues = both()
    stop = rf"(?<!\w){cues.negation_stops}(?!\w)"
    between = rf"(?:{_QUOTE}{cues.between}(?!\w))*{_QUOTE}\Z"
    return _Patterns(
        negated=re.compile(rf"(?<!\w){cues.negators}(?!\w)"),
        stop=re.compile(rf"(?<!\w){cues.negation_stops}(?!\w)"),
        not_only=re.compile(rf"(?<!\w){cues.not_only}(?!\w)"),
        # Up to the first words behind the "nor": what comes after them is said anew.
        neither=re.compile(rf"(?<!\w){cues.neither}(?!\w)(?:(?!{stop}).)*?\Z"
                           rf"|(?<!\w){cues.neither}(?!\w).*(?<!\w){cues.nor}(?!\w)(?:\s+[\w\"'*]+){{0,4}}\s*[\"'*_`]*\Z"),
        joiner=re.compile(rf"[\s\"'*_`]*(?:[,/|&]|(?:,\s*)?(?<!\w){cues.joiners}(?!\w)|[,/])[\s\"'*_`]*"
                          rf"(?:(?:an?|the|{cues.joiners})\s+)?[\"'*_`]*"),
        denied_behind=re.compile(rf"[\"'*_`)]*{cues.denied_behind}"),
        unsaid=re.compile(rf"(?<!\w){cues.unsaid}(?!\w)[^,]*\Z"),
        whether=re.compile(rf"(?<!\w){cues.whether}(?!\w)"),
        conditional=re.compile(rf"(?<!\w){cues.conditional}(?!\w)"),
        would=re.compile(rf"[\"'*_`)]*(?:\s+(?!{cues.behind}(?!\w))\w+){{0,2}}\s+{cues.conditional}(?!\w)"),
        approved=re.compile(rf"[\"'*_`)]*{cues.approved_behind}(?!\w)"),
        first_thought=re.compile(rf"(?<!\w){cues.first_thought}(?!\w)(?:(?!(?<!\w)(?:but|however|а|но)(?!\w)).)*\Z"),
        maybe=re.compile(rf"(?<!\w){cues.maybe}(?!\w)"),
        concluding=re.compile(rf"(?:(?<!\w)(?:{cues.concluding}|{cues.revising})(?!\w)|=>|⇒|→)"),
        subject=re.compile(
            rf"(?<!\w){cues.subjects}(?!\w)[^.!?;:\n]{{0,60}}?"
            rf"(?<!\w)(?:{cues.copula}(?!\w)|:|—|–){between}"
            rf"|(?<!\w){cues.subjects}(?:\s+(?:текста|предложения|новости))?{between}"
        ),
        classified=re.compile(rf"(?<!\w){cues.classified}(?!\w){between}"),
        copula=re.compile(rf"(?:(?<!\w){cues.copula}|'s)(?!\w){between}"),
        carried=re.compile(rf"[\s\"'*_`)]+{cues.carried}(?!\w)"),
        behind=re.compile(rf"[\"'*_`)\]}}$\s]*(?:\Z|[^\w\s]|\s{cues.behind}(?!\w)|{cues.behind}(?!\w))"),
        choice=re.compile(rf"(?<!\w){cues.choices}\s*[#№]?{_QUOTE}\Z"),
        out_of=re.compile(rf"\s*(?:/\s*|{cues.out_of}\s+)\d|[\s-]+{cues.points}(?!\w)"),
    )  # fmt: skip


def judge(text: str, mentions: Sequence[Mention], forms: Forms) -> list[Judged]:
    """How ``text`` (folded) treats each of its ``mentions``, in order."""
    listed = _listed(text, mentions)
    echoed = _echoed(text, mentions)
    judged: list[Judged] = []
    for k, mention in enumerate(mentions):
        if _is_maximum(text, mentions, k):
            continue
        if (
            k in echoed
            or k in listed
            or _is_list_number(text, mention)
            or _is_denied(text, mention)
            or _is_open(text, mention)
        ):
            grade = Grade.DENIED
        else:
            grade = _grade(text, mention, forms)
        judged.append(Judged(mention, grade))
    return _spread_denials(text, judged)


def sentence_of(text: str, mention: Mention) -> tuple[int, int]:
    """The span of the sentence that holds ``mention``."""
    ends = [m.end() for m in _SENTENCE_END.finditer(text, 0, mention.start)]
    behind = _SENTENCE_END.search(text, mention.end)
    return ends[-1] if ends else 0, behind.end() if behind else len(text)


def _listed(text: str, mentions: Sequence[Mention]) -> set[int]:
    """Mentions joined with one of another label by nothing but a comma, a slash, "or", "and"."""
    joined: set[int] = set()
    for k, (first, second) in enumerate(itertools.pairwise(mentions)):
        between = text[first.end : second.start]
        dash = re.fullmatch(r"\s+[-–—]\s+", between) and _stands_alone(text, second)
        if first.index == second.index or _is_maximum(text, mentions, k + 1):
            continue
        if not between or dash or _patterns().joiner.fullmatch(between):
            joined |= {k, k + 1}
    return joined


def _echoed(text: str, mentions: Sequence[Mention]) -> set[int]:
    """Mentions inside a quotation of the text to label, where others stand outside of one."""
    quotes = [m.span() for m in _QUOTATION.finditer(text)]
    inside = {
        k for k, m in enumerate(mentions) if any(a < m.start and m.end < b for a, b in quotes)
    }
    return inside if len(inside) < len(mentions) else set()


def _is_maximum(text: str, mentions: Sequence[Mention], k: int) -> bool:
    """Whether the mention is the 3 of "2 out of 3"."""
    if k == 0 or not text[mentions[k].start].isdigit():
        return False
    found = _patterns().out_of.match(text, mentions[k - 1].end)
    return found is not None and found.end() - 1 == mentions[k].start


def _is_list_number(text: str, mention: Mention) -> bool:
    """Whether the mention numbers an item: "1. Introduction"."""
    line = text[text.rfind("\n", 0, mention.start) + 1 : mention.start]
    item = re.match(r"[.)]\s+\w", text[mention.end :])
    return text[mention.start].isdigit() and not line.strip(" *_#-") and item is not None


def _is_denied(text: str, mention: Mention) -> bool:
    patterns = _patterns()
    if patterns.denied_behind.match(text, mention.end):
        return True
    start, _ = sentence_of(text, mention)
    before = text[start : mention.start]
    if patterns.neither.search(before):
        return True
    clause = max([m.end() for m in _CLAUSE_END.finditer(before)], default=0)
    negations = list(patterns.negated.finditer(before, clause))
    if not negations:
        return False
    reach = before[negations[-1].end() :]
    if patterns.not_only.match(before, negations[-1].start()) or patterns.stop.search(reach):
        return patterns.unsaid.search(before) is not None
    return len(reach.split()) <= _REACH


def _is_open(text: str, mention: Mention) -> bool:
    """Whether the label is in a question, after "whether", or under a condition."""
    patterns = _patterns()
    if patterns.approved.match(text, mention.end):
        return False
    start, end = sentence_of(text, mention)
    # "Neutral, I guess?" answers; "Neutral?" and "is it neutral?" ask.
    opens = not any(c.isalnum() for c in text[start : mention.start])
    if text[end - 1] == "?" and not (opens and "," in text[mention.end : end]):
        return True
    clause = max([m.end() for m in _CLAUSE_END.finditer(text, start, mention.start)], default=start)
    if patterns.whether.search(text, clause, mention.start):
        return True
    if patterns.would.match(text, mention.end):
        return True
    before = patterns.conditional.search(text, clause, mention.start)
    return bool(before and patterns.whether.search(text, mention.end, end))


def _grade(text: str, mention: Mention, forms: Forms) -> Grade:
    patterns = _patterns()
    start, _ = sentence_of(text, mention)
    before = text[start : mention.start]
    attribute = not patterns.behind.match(text, mention.end)
    carried = patterns.carried.match(text, mention.end) is not None
    rated = patterns.out_of.match(text, mention.end) is not None
    if mention.index in forms.common and attribute and not rated:
        return Grade.DENIED  # "no debt", "a company"
    if patterns.first_thought.search(before):
        return Grade.POSSIBLE
    if patterns.approved.match(text, mention.end):
        return Grade.ANSWERED
    named = patterns.choice.search(before) is not None
    claimed = rated or named or _stands_alone(text, mention)
    answered = bool(patterns.classified.search(before) or patterns.subject.search(before))
    fits = not attribute or carried or rated
    claimed = claimed or (fits and (answered or patterns.copula.search(before) is not None))
    if _is_relative(before):
        claimed = answered = False
    if claimed and patterns.concluding.search(before):
        return Grade.CONCLUDED
    clause = max([m.end() for m in _CLAUSE_END.finditer(before)], default=0)
    if patterns.maybe.search(before, clause):
        return Grade.POSSIBLE
    if (answered and fits) or named:
        return Grade.ANSWERED
    if claimed:
        return Grade.CLAIMED
    if mention.index in forms.short:
        return Grade.DENIED  # "vitamin D"
    return Grade.NAMED


def _stands_alone(text: str, mention: Mention) -> bool:
    """Whether nothing but marks stand beside the label up to the ends of its clause."""
    before = re.search(r"(?:^|[.!?:;,\n—–]|=>|→|⇒|- )[\s\"'*_`(\[$\\]*\Z", text[: mention.start])
    after = re.match(r"[\s\"'*_`)\]}$]*(?:[.!;,\n—–]|\Z)", text[mention.end :])
    return before is not None and after is not None


def _is_relative(before: str) -> bool:
    """Whether the label is said of a part of the text: "profit rose, which is positive"."""
    return re.search(r"(?<!\w)(?:which|что)\s+(?:\w+\s+){1,3}\Z", before) is not None


def _spread_denials(text: str, judged: list[Judged]) -> list[Judged]:
    """Kept for a list: "not A or B" denies both A and B."""
    found = list(judged)
    for k in range(1, len(found)):
        first, second = found[k - 1], found[k]
        between = text[first.mention.end : second.mention.start]
        if first.grade == Grade.DENIED and re.fullmatch(
            r"\s*(?:or|nor|или|ни)\s+(?:an?\s+)?", between
        ):
            found[k] = second._replace(grade=Grade.DENIED)
    return found
