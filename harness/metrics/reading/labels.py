"""The label that an answer gives, read as a careful person reads it, or none.

From the firmest to the loosest: the whole answer; a box or an answer tag; a field named final; the
first line; any other field ("Label: …", JSON); the sentence that concludes; the first sentence if
it claims a label; a claim; a single mention. A label that is denied, listed among the choices or
asked about never counts, and where two labels are left on one level there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from harness.metrics.reading.cues import both
from harness.metrics.reading.fold import fold
from harness.metrics.reading.label_context import Grade, Judged, judge, sentence_of
from harness.metrics.reading.label_forms import Forms, Mention, forms_of
from harness.metrics.reading.run_on import segments


class LabelReading(NamedTuple):
    """A label and where it was read."""

    label: str
    start: int
    end: int


class _Text(NamedTuple):
    """A part of an answer: folded, and with its case."""

    folded: str
    raw: str

    def part(self, start: int, end: int) -> _Text:
        return _Text(self.folded[start:end], self.raw[start:end])


class _Field(NamedTuple):
    """A field that names its value an answer."""

    key: str
    rank: int
    start: int
    mention: Mention


_EDGE = r"[\s\"'*_`\#>(\[{<$|•·\-–—→~:.!,]*"
_OPEN = r"[\s\"'*_`\#>(\[{<$|•·→~]*(?:-\s+)?"
_CLOSE = r"[\s\"'*_`\#)\]}>$|…]*"
# Letters and digits before an option: "(b) neutral", "2. neutral".
_OPTION = r"(?:\(?[a-e][).]\s*|[a-e]\s+-\s+|option\s+[a-e]\s*[:.)-]\s*|\d{1,2}[.)]\s+)?"
_BOX = re.compile(r"\\boxed\s*\{|<(?:answer|label|sentiment|final_answer|solution|response)>\s*")
_VALUE_REACH = 300
"""Characters of a field's value that are read: a label stands at its beginning."""
_SAID = re.compile(r"(?:yes|no|none|true|false|да|нет|-?\d[\d.,]*\s?%?)(?!\w)|\Z", re.IGNORECASE)


def read_label(text: str, labels: Sequence[str]) -> LabelReading | None:
    """The declared label that ``text`` gives as its answer, with its span; None if it gives none.

    Args:
        text: An answer without its reasoning (see `split_reasoning`).
        labels: Declared labels.

    Raises:
        HarnessError: When two labels differ only in case or spacing.
    """
    forms = forms_of(tuple(labels))
    folded = fold(text)
    raw = text if folded.origin is None else "".join(
        text[i] for i in folded.origin[:-1]
    )  # fmt: skip
    for start, end in segments(folded.text):
        part = _Text(folded.text[start:end], raw[start:end])
        mention = _read_part(part, forms)
        if mention:
            span = folded.back(start + mention.start, start + mention.end)
            return LabelReading(forms.labels[mention.index], *span)
    return None


def _read_part(text: _Text, forms: Forms) -> Mention | None:
    whole = _whole(text, forms)
    if whole:
        return whole
    boxed = _boxed(text, forms)
    if boxed:
        return boxed
    fields = _fields(text, forms)
    final = _agreed(text, [f for f in fields if f.rank == 2])
    if final:
        return final
    lead = _lead(text, forms)
    if lead:
        return _taken_back(text, lead, forms) or lead
    for rank in (1, 0):
        ranked = [f for f in fields if f.rank == rank]
        if ranked:
            return _agreed(text, ranked)
    return _prose(text, forms)


def _whole(text: _Text, forms: Forms) -> Mention | None:
    """The one label, or the same one again and again, that the answer consists of."""
    found: list[Mention] = []
    position = 0
    while match := re.compile(_EDGE).match(text.folded, position):
        named = forms.value.match(text.folded, match.end())
        for start in range(match.end(), position, -1):  # a label may begin with a mark: "<30"
            named = forms.value.match(text.folded, start) or named
        if named is None:
            break
        found.append(Mention(*named.span(), int(str(named.lastgroup)[1:])))
        position = named.end()
    rest = text.folded[position:]
    if found and len({m.index for m in found}) == 1 and not any(c.isalnum() for c in rest):
        return found[0]
    return None


def _boxed(text: _Text, forms: Forms) -> Mention | None:
    """The label in the last box or answer tag that holds one."""
    for match in reversed(list(_BOX.finditer(text.folded))):
        closing = re.compile(r"</|\n\n|\Z").search(text.folded, match.end())
        if match[0].startswith("\\"):
            closing = re.compile(r"\}(?!\s*\})|\Z").search(text.folded, match.end())
        value = text.part(match.end(), closing.start() if closing else len(text.folded))
        found = _value(value, forms)
        if found:
            return _moved(found, match.end())
    return None


@cache
def _key_pattern() -> re.Pattern[str]:
    cues = both()
    return re.compile(
        rf"(?<![\w])(?P<final>{cues.final}[\s_]+)?(?P<key>{cues.answer_keys}|{cues.other_keys})"
        rf"(?P<more>[\s_]+{cues.key_suffix})*(?!\w)"
        rf"(?:\s+(?:of|for|in|expressed)\b[^:\n.]{{0,60}})?(?:\s*\([^)\n]*\))?[\"'*_`)\]]*"
        rf"(?:\s+(?:is|are))?\s*(?:[:=]>?|\s[—–-]>?|→)[\"'*_`]*[ \t]*"
        rf"|^[ \t]*(?:\#+[ \t]*|\*\*)(?P<heading>(?:{cues.final}\s+)?(?:{cues.answer_keys}|"
        rf"{cues.other_keys})(?:\s+{cues.key_suffix})?)[*_]*[ \t]*$",
        re.MULTILINE,
    )


def _fields(text: _Text, forms: Forms) -> list[_Field]:
    """The fields of an answer whose value is a label."""
    first = re.compile(rf"(?:{both().answer_keys})")
    found = []
    for match in _key_pattern().finditer(text.folded):
        key = match["key"] or match["heading"]
        start, end = _value_span(text.folded, match.end())
        mention = _value(text.part(start, min(end, start + _VALUE_REACH)), forms)
        if mention is None:
            continue
        final = match["final"] or re.match(both().final, key)
        rank = 2 if final else 1 if first.match(key) else 0
        found.append(_Field(key, rank, match.start(), _moved(mention, start)))
    return found


def _value_span(text: str, start: int) -> tuple[int, int]:
    """The rest of the line, or the next line with words where the line is empty."""
    end = _line_end(text, start)
    while end < len(text) and not any(c.isalnum() or c in "<>+" for c in text[start:end]):
        start, end = end + 1, _line_end(text, end + 1)
    return start, end


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _value(text: _Text, forms: Forms) -> Mention | None:
    """The label that the value of a field is, opens with or claims."""
    return _whole(text, forms) or _opening(text, forms) or _prose(text, forms)


def _agreed(text: _Text, fields: Sequence[_Field]) -> Mention | None:
    """The label of fields that agree; the last of them where one takes back the others."""
    if not fields:
        return None
    if len({f.mention.index for f in fields}) == 1:
        return fields[0].mention
    between = text.folded[fields[0].mention.end : fields[-1].start]
    return fields[-1].mention if re.search(rf"(?<!\w){both().revising}(?!\w)", between) else None


def _lead(text: _Text, forms: Forms) -> Mention | None:
    """The label that the first line opens with, after a greeting or a line that announces it."""
    greeting = re.compile(rf"{_OPEN}{both().greeting}[,.!:]\s*")
    position = 0
    for _ in range(3):
        start, end = _value_span(text.folded, position)
        hello = greeting.match(text.folded, start)
        if hello:
            start = hello.end()
            start, end = _value_span(text.folded, start)
        line = text.part(start, end)
        named = _opening(line, forms) or _line_field(line, forms)
        if named:
            # "Positive: …" and later "Negative: …" discusses the labels one by one.
            return None if _goes_through(text, forms) else _moved(named, start)
        if forms.mentions(line.folded, line.raw) or not line.folded.rstrip(" *_").endswith(":"):
            return None
        position = end
    return None


def _taken_back(text: _Text, lead: Mention, forms: Forms) -> Mention | None:
    """What an answer says after it took its first line back: "Wait, …", "Actually, …"."""
    cue = re.compile(rf"(?:[.!?…\n—–-]\s*|^){both().revising}(?!\w)", re.MULTILINE)
    found = cue.search(text.folded, lead.end)
    if found is None:
        return None
    rest = text.part(found.end(), len(text.folded))
    second = _agreed(rest, _fields(rest, forms)) or _prose(rest, forms, least=Grade.CLAIMED)
    return _moved(second, found.end()) if second else None


def _line_field(line: _Text, forms: Forms) -> Mention | None:
    """The value of a field that the line begins with."""
    match = _key_pattern().match(line.folded, len(line.folded) - len(line.folded.lstrip(" *_#>-")))
    if match is None or match["key"] is None:
        return None
    value = line.part(match.end(), len(line.folded))
    found = _whole(value, forms) or _opening(value, forms)
    return _moved(found, match.end()) if found else None


def _goes_through(text: _Text, forms: Forms) -> bool:
    heads = {
        int(str(m.lastgroup)[1:])
        for line in re.compile(rf"^{_OPEN}{_OPTION}", re.MULTILINE).finditer(text.folded)
        if (m := forms.pattern.match(text.folded, line.end()))
        and re.compile(r"[ \t*_\"']*(?::|[.,]?[ \t]*(?:\n|\Z))").match(text.folded, m.end())
    }
    return len(heads) > 1


def _opening(text: _Text, forms: Forms) -> Mention | None:
    """The label that ``text`` opens with, if what follows does not make it part of something."""
    head = re.compile(rf"{_OPEN}{_OPTION}{_OPEN}").match(text.folded)
    bare = re.compile(_OPEN).match(text.folded)
    for opened in (bare, head):
        position = opened.end() if opened else 0
        named = forms.value.match(text.folded, position)
        if named and _ends_well(text, named, forms):
            return Mention(*named.span(), int(str(named.lastgroup)[1:]))
    return None


def _ends_well(text: _Text, named: re.Match[str], forms: Forms) -> bool:
    index = int(str(named.lastgroup)[1:])
    rest = text.folded[named.end() :]
    closed = re.match(_CLOSE, rest)
    after = rest[closed.end() if closed else 0 :]
    if index in forms.common and re.match(r"\.\s+\w", rest) and named[0].isdecimal():
        return False  # "1. Introduction"
    others = forms.mentions(text.folded, text.raw)
    judged = {j.mention.start: j.grade for j in judge(text.folded, others, forms)}
    if judged.get(named.start()) == Grade.DENIED and index not in forms.common:
        return False
    if re.match(r"\s*:", rest) and _SAID.match(rest.split(":", 1)[1].strip()):
        return False  # "Positive: 0.7", "Positive: no"
    if not after or not (after[0].isalnum()):
        return not _listed_behind(after, forms)
    if named[0].isdecimal() and re.match(rf"(?:{both().out_of}\s+)\d", after):
        return True
    if closed and any(c in rest[: closed.end()] for c in "\"'*_`)]}|>\n"):
        return True
    nouns = "" if index in forms.common else f"|{both().carried}"
    known = rf"(?:{both().behind}{nouns})(?!\w)"
    joined = rf"(?:{both().joiners})(?!\w)"
    return (
        re.match(known, after) is not None
        and not re.match(joined, after)
        and index not in forms.short
    )


def _listed_behind(after: str, forms: Forms) -> bool:
    behind = re.match(r"\s*[/|,]\s*(?:(?:and|or|и|или)\s+)?|\s*[-–—]\s*(?=\S+\s*\Z)", after)
    return behind is not None and forms.pattern.match(after, behind.end()) is not None


def _prose(text: _Text, forms: Forms, least: Grade = Grade.POSSIBLE) -> Mention | None:
    """The label that running text concludes, claims or names, as firmly as ``least``."""
    found = judge(text.folded, forms.mentions(text.folded, text.raw), forms)
    judged = [j for j in found if j.grade >= least]
    concluded = [j for j in judged if j.grade == Grade.CONCLUDED]
    if concluded:
        last = sentence_of(text.folded, concluded[-1].mention)
        return _single(j for j in concluded if j.mention.start >= last[0])
    claims = [j for j in judged if j.grade >= Grade.CLAIMED]
    opening = [j for j in claims if not text.folded[: sentence_of(text.folded, j.mention)[0]].strip()]
    if opening:
        if _contradicted(text, judged, opening) or _goes_through(text, forms):
            return None
        return _single(j for j in opening if j.grade == max(o.grade for o in opening))
    for grade in (Grade.ANSWERED, Grade.CLAIMED, Grade.NAMED, Grade.POSSIBLE):
        level = [j for j in judged if j.grade == grade]
        if level:
            return _single(level)
    return None


def _contradicted(text: _Text, judged: Sequence[Judged], opening: Sequence[Judged]) -> bool:
    """Whether the opening sentence answers one label and a later sentence another."""
    answers = [j for j in judged if j.grade == Grade.ANSWERED]
    first = {j.mention.index for j in answers if j in opening}
    later = {j.mention.index for j in answers if j not in opening}
    return bool(first and later - first)


def _single(judged: Iterable[Judged]) -> Mention | None:
    """The label that all of ``judged`` name, at its first place."""
    named = [j.mention for j in judged]
    return named[0] if named and len({m.index for m in named}) == 1 else None


def _moved(mention: Mention, by: int) -> Mention:
    return Mention(mention.start + by, mention.end + by, mention.index)
