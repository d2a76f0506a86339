"""Which question of a reader each section answers, and in which order the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.report.figure import Figure
from harness.report.section import Section

Question = Literal["time", "choice", "real", "cost", "where", "answers", "trust"]
TITLES: dict[Question, str] = {
    "time": "What changed from run to run?",
    "choice": "What does each choice change?",
    "real": "Is the gain real?",
    "cost": "What does it cost?",
    "where": "Where does it help, and where does it hurt?",
    "answers": "What changed in the answers?",
    "trust": "Can I trust this?",
}
"""Question → its heading, in reading order."""
SHORT: dict[Question, str] = {
    "time": "Runs", "choice": "Choices", "real": "Gain", "cost": "Cost", "where": "Help and hurt",
    "answers": "Answers", "trust": "Trust",
}  # fmt: skip
"""Question → the word that leads to it at the top of the page."""
_PLACES: dict[str, tuple[Question, bool]] = {
    "By axis": ("choice", False), "Leaderboard": ("real", True), "Pairs": ("real", False),
    "Claims": ("real", True), "Verdict": ("real", False),
    "Runs": ("time", True), "History": ("time", True),
    "Cost": ("cost", True), "Objectives": ("cost", False),
    "Data sets": ("where", True), "Forgetting": ("where", False), "Categories": ("where", False),
    "Confusion": ("where", False), "Length": ("where", False),
    "Flips": ("answers", True), "Answers": ("answers", False),
    "Not run": ("trust", True), "Data and audit": ("trust", True),
    "Models as loaded": ("trust", False), "Settings": ("trust", False), "Method": ("trust", True),
}  # fmt: skip
"""Title up to its colon → question, and whether it is open; else it opens by a click."""
_FIGURES: dict[str, Question] = {
    "heat": "where", "effects": "where", "seeds": "real", "latency": "cost", "latencies": "cost",
    "training": "trust",
}  # fmt: skip
"""First word of a chart's name → question."""
_NOT_ON_PAGE = frozenset({"Samples", "What to do"})
"""Sections whose content the page shows better: the answers next to each other."""
_OWN_CHARTS = frozenset({"forest", "trade"})
"""Charts that the page draws itself, so that they answer to the pointer and fit a phone."""


@dataclass(frozen=True)
class Placed:
    """A section at its place."""

    section: Section
    dataset: str
    """The data set that it is of; empty if it is of the whole run."""
    open: bool


@dataclass(frozen=True)
class Group:
    """One question's sections."""

    question: Question
    title: str
    placed: tuple[Placed, ...] = field(default=())

    def of(self, dataset: str) -> list[Placed]:
        """Those of one data set; of the whole run if it is empty."""
        return [each for each in self.placed if each.dataset == dataset]


def arranged(sections: Sequence[Section], datasets: Sequence[str]) -> list[Group]:
    """``sections`` by question; an unknown section belongs to `where`, or to `trust` at the end."""
    parts = [part for section in sections for part in _parts(section, datasets)]
    return [
        Group(question, title, tuple(placed for asked, placed in parts if asked == question))
        for question, title in TITLES.items()
    ]


def _parts(section: Section, datasets: Sequence[str]) -> list[tuple[Question, Placed]]:
    head, _, rest = section.title.partition(": ")
    dataset = rest if rest in datasets else ""
    if head in _NOT_ON_PAGE:
        return []
    if head == "Charts":
        return _by_figure(section, dataset)
    if head == "Flips":  # the page lists what got worse, with links, and holds the answers
        section = replace(section, notes=())
    question, is_open = _PLACES.get(head, ("where" if dataset else "trust", True))
    return [(question, Placed(section, dataset, is_open))]


def _by_figure(section: Section, dataset: str) -> list[tuple[Question, Placed]]:
    """The charts of a data set, each with the question that it helps to answer."""
    if not section.figures:  # the note that charts cannot be drawn here
        return [("trust", Placed(section, dataset, True))] if section.notes else []
    found: dict[Question, list[Figure]] = {}
    for figure in section.figures:
        kind = figure.name.partition("-")[0]
        if kind not in _OWN_CHARTS:
            found.setdefault(_FIGURES.get(kind, "where"), []).append(figure)
    return [
        (question, Placed(_charts(section, question, dataset, figures), dataset, False))
        for question, figures in found.items()
    ]


def _charts(section: Section, question: Question, dataset: str, figures: list[Figure]) -> Section:
    words = {"where": "Charts by axis", "real": "Charts of seeds", "cost": "Charts of latency",
             "trust": "Charts of training", "answers": "Charts"}  # fmt: skip
    return replace(section, title=f"{words[question]}: {dataset}", figures=tuple(figures))
