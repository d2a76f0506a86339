"""Where an answer opens with a label: the whole of it, its first words, the heads of its lines."""

from __future__ import annotations

import re

from harness.metrics.reading.cues import both
from harness.metrics.reading.label_context import Grade, judge
from harness.metrics.reading.label_forms import Forms, Mention, Text

_EDGE = r"[\s\"'*_`\#>(\[{<$|•·\-–—→~:.!,]*"
OPEN = r"[\s\"'*_`\#>(\[{<$|•·→~]*(?:-\s+)?"
_CLOSE = r"[\s\"'*_`\#)\]}>$|…]*"
# Letters and digits before an option: "(b) neutral", "2. neutral".
_OPTION = r"(?:\(?[a-e][).]\s*|[a-e]\s+-\s+|option\s+[a-e]\s*[:.)-]\s*|\d{1,2}[.)]\s+)?"
_SAID = re.compile(r"(?:yes|no|none|true|false|да|нет|-?\d[\d.,]*\s?%?)(?!\w)|\Z", re.IGNORECASE)


def whole(text: Text, forms: Forms) -> Mention | None:
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


def opening(text: Text, forms: Forms) -> Mention | None:
    """The label that ``text`` opens with, if what follows does not make it part of something."""
    head = re.compile(rf"{OPEN}{_OPTION}{OPEN}").match(text.folded)
    bare = re.compile(OPEN).match(text.folded)
    shaded = re.compile(rf"{OPEN}(?:{both().adverbs}\s+){{1,2}}{OPEN}").match(text.folded)
    for opened in (bare, head, shaded):
        if opened is None:
            continue
        position = opened.end()
        named = forms.value.match(text.folded, position)
        if named and _ends_well(text, named, forms):
            return Mention(*named.span(), int(str(named.lastgroup)[1:]))
    return None


def _ends_well(text: Text, named: re.Match[str], forms: Forms) -> bool:
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


def goes_through(text: Text, forms: Forms) -> bool:
    """Whether the lines of an answer take the labels one by one: "Positive: …", "Negative: …"."""
    heads = {
        int(str(m.lastgroup)[1:])
        for line in re.compile(rf"^{OPEN}{_OPTION}", re.MULTILINE).finditer(text.folded)
        if (m := forms.pattern.match(text.folded, line.end()))
        and re.compile(r"[ \t*_\"']*(?::|[.,]?[ \t]*(?:\n|\Z))").match(text.folded, m.end())
    }
    return len(heads) > 1


def value_span(text: str, start: int) -> tuple[int, int]:
    """The rest of the line, or the next line with words where the line is empty."""
    end = _line_end(text, start)
    while end < len(text) and not any(c.isalnum() or c in "<>+" for c in text[start:end]):
        start, end = end + 1, _line_end(text, end + 1)
    return start, end


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
