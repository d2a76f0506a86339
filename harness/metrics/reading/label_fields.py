"""Fields whose name says that their value is the answer: "Label: …", JSON, boxes and tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from harness.metrics.reading.cues import both
from harness.metrics.reading.label_forms import Forms, Mention, Text
from harness.metrics.reading.label_lines import opening, value_span, whole
from harness.metrics.reading.label_prose import prose

_BOX = re.compile(
    r"\\boxed\s*\{(?:\s*\\(?:text|textbf|mathrm|mathbf)\s*\{)?|<(?:answer|label|sentiment|final_answer|solution|response)>\s*"
)
_VALUE_REACH = 300
"""How many characters of a field's value are read: a label is at its beginning."""


class Field(NamedTuple):
    """A field that names its value an answer."""

    key: str
    rank: int
    start: int
    mention: Mention


def find_fields(text: Text, forms: Forms) -> list[Field]:
    """The fields of an answer whose value is a label."""
    first = re.compile(rf"(?:{both().answer_keys})")
    found = []
    for match in _key_pattern().finditer(text.folded):
        key = match["key"] or match["heading"]
        start, end = value_span(text.folded, match.end())
        mention = _value(text.part(start, min(end, start + _VALUE_REACH)), forms)
        if mention is None:
            continue
        final = match["final"] or re.match(both().final, key)
        rank = 2 if final else 1 if first.match(key) else 0
        found.append(Field(key, rank, match.start(), mention.moved(start)))
    return found


def agreed(text: Text, fields: Sequence[Field]) -> Mention | None:
    """The label of fields that agree; the last of them where one takes back the others."""
    if not fields:
        return None
    if len({f.mention.index for f in fields}) == 1:
        return fields[0].mention
    between = text.folded[fields[0].mention.end : fields[-1].start]
    return fields[-1].mention if re.search(rf"(?<!\w){both().revising}(?!\w)", between) else None


def boxed(text: Text, forms: Forms) -> Mention | None:
    """The label in the last box or answer tag that holds one."""
    for match in reversed(list(_BOX.finditer(text.folded))):
        closing = re.compile(r"</|\n\n|\Z").search(text.folded, match.end())
        if match[0].startswith("\\"):
            closing = re.compile(r"\}(?!\s*\})|\Z").search(text.folded, match.end())
        value = text.part(match.end(), closing.start() if closing else len(text.folded))
        found = _value(value, forms)
        if found:
            return found.moved(match.end())
    return None


def line_field(line: Text, forms: Forms) -> Mention | None:
    """The value of a field that the line begins with."""
    match = _key_pattern().match(line.folded, len(line.folded) - len(line.folded.lstrip(" *_#>-")))
    if match is None or match["key"] is None:
        return None
    value = line.part(match.end(), len(line.folded))
    found = whole(value, forms) or opening(value, forms)
    return found.moved(match.end()) if found else None


def _value(text: Text, forms: Forms) -> Mention | None:
    """The label that the value of a field is, opens with or claims."""
    return whole(text, forms) or opening(text, forms) or prose(text, forms)


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
