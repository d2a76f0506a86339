"""The label that an answer gives, read as a careful person reads it, or none.

From the firmest to the loosest: the whole answer; a box or an answer tag; a field named final; the
first line; any other field ("Label: …", JSON); the sentence that concludes; the first sentence if
it claims a label; a claim; a single mention. A label that is denied, listed among the choices or
asked about never counts, and where two labels are left on one level there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from harness.metrics.reading.cues import both
from harness.metrics.reading.fold import fold
from harness.metrics.reading.label_context import Grade
from harness.metrics.reading.label_fields import agreed, boxed, find_fields, line_field
from harness.metrics.reading.label_forms import Forms, Mention, Text, forms_of
from harness.metrics.reading.label_lines import OPEN, goes_through, opening, value_span, whole
from harness.metrics.reading.label_prose import prose
from harness.metrics.reading.run_on import segments


class LabelReading(NamedTuple):
    """A label and where it was read."""

    label: str
    start: int
    end: int


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
        part = Text(folded.text[start:end], raw[start:end])
        mention = _read_part(part, forms)
        if mention:
            span = folded.back(start + mention.start, start + mention.end)
            return LabelReading(forms.labels[mention.index], *span)
    return None


def _read_part(text: Text, forms: Forms) -> Mention | None:
    given = whole(text, forms) or boxed(text, forms)
    if given:
        return given
    fields = find_fields(text, forms)
    final = agreed(text, [f for f in fields if f.rank == 2])
    if final:
        return final
    lead = _lead(text, forms)
    if lead:
        return _taken_back(text, lead, forms) or lead
    for rank in (1, 0):
        ranked = [f for f in fields if f.rank == rank]
        if ranked:
            return agreed(text, ranked)
    return prose(text, forms)


def _lead(text: Text, forms: Forms) -> Mention | None:
    """The label that the first line opens with, after a greeting or a line that announces it."""
    greeting = re.compile(rf"{OPEN}{both().greeting}[,.!:]\s*")
    position = 0
    for _ in range(3):
        start, end = value_span(text.folded, position)
        hello = greeting.match(text.folded, start)
        if hello:
            start = hello.end()
            start, end = value_span(text.folded, start)
        line = text.part(start, end)
        named = opening(line, forms) or line_field(line, forms)
        if named:
            # "Positive: …" and later "Negative: …" discusses the labels one by one.
            return None if goes_through(text, forms) else named.moved(start)
        if forms.mentions(line.folded, line.raw) or not line.folded.rstrip(" *_").endswith(":"):
            return None
        position = end
    return None


def _taken_back(text: Text, lead: Mention, forms: Forms) -> Mention | None:
    """What an answer says after it took its first line back: "Wait, …", "Actually, …"."""
    cue = re.compile(rf"(?:[.!?…\n—–-]\s*|^){both().revising}(?!\w)", re.MULTILINE)
    found = cue.search(text.folded, lead.end)
    if found is None:
        return None
    rest = text.part(found.end(), len(text.folded))
    second = agreed(rest, find_fields(rest, forms)) or prose(rest, forms, least=Grade.CLAIMED)
    return second.moved(found.end()) if second else None
