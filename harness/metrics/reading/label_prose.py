"""The label that running text concludes, claims or names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.metrics.reading.label_context import Grade, Judged, judge, sentence_of
from harness.metrics.reading.label_forms import Forms, Mention, Text
from harness.metrics.reading.label_lines import goes_through


def prose(text: Text, forms: Forms, least: Grade = Grade.POSSIBLE) -> Mention | None:
    """The label that running text concludes, claims or names, as firmly as ``least``."""
    found = judge(text.folded, forms.mentions(text.folded, text.raw), forms)
    judged = [j for j in found if j.grade >= least]
    concluded = [j for j in judged if j.grade == Grade.CONCLUDED]
    if concluded:
        last = sentence_of(text.folded, concluded[-1].mention)
        return _single(j for j in concluded if j.mention.start >= last[0])
    claims = [j for j in judged if j.grade >= Grade.CLAIMED]
    opening = [
        j for j in claims if not text.folded[: sentence_of(text.folded, j.mention)[0]].strip()
    ]
    if opening:
        if _contradicted(text, judged, opening) or goes_through(text, forms):
            return None
        return _single(j for j in opening if j.grade == max(o.grade for o in opening))
    for grade in (Grade.ANSWERED, Grade.CLAIMED, Grade.NAMED, Grade.POSSIBLE):
        level = [j for j in judged if j.grade == grade]
        if level:
            return _single(level)
    return None


def _contradicted(text: Text, judged: Sequence[Judged], opening: Sequence[Judged]) -> bool:
    """Whether the opening sentence answers one label and a later sentence another."""
    answers = [j for j in judged if j.grade == Grade.ANSWERED]
    first = {j.mention.index for j in answers if j in opening}
    later = {j.mention.index for j in answers if j not in opening}
    return bool(first and later - first)


def _single(judged: Iterable[Judged]) -> Mention | None:
    """The label that all of ``judged`` name, at its first place."""
    named = [j.mention for j in judged]
    return named[0] if named and len({m.index for m in named}) == 1 else None
