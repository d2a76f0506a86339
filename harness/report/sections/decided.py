"""What to do about each data set, for Markdown: the same words as on the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.decision import Decision
from harness.analysis.wording import joined
from harness.report.section import MISSING, Section

COLUMNS = ("data set", "what to do", "gain and cost", "more", "got worse", "careful")


def decided(made: Sequence[Decision]) -> Section:
    """A row per data set: headline, facts, cheaper and open choices, what fell, and doubts."""
    return Section("What to do", (), COLUMNS, tuple(_row(each) for each in made))


def _row(each: Decision) -> tuple[str, ...]:
    fell = [fall.text for fall in each.fallen.falls] if each.fallen else []
    doubts = [caution.short or caution.text for caution in each.cautions]
    texts = ("; ".join(each.facts), " ".join(each.more), joined(fell), "; ".join(doubts))
    return (each.dataset, each.headline, *(text or MISSING for text in texts))
