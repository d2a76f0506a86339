"""A report section as data without markup, and the format of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from harness.analysis.difference import Delta
from harness.analysis.table import Row, Table
from harness.analysis.wording import number
from harness.counting import counted
from harness.report.figure import Figure, anchor

__all__ = [
    "IN_CSV",
    "MISSING",
    "DrawnInterval",
    "Keeping",
    "Section",
    "anchor",
    "is_long",
    "marked",
    "mean_text",
    "missing_speeds",
    "number",
    "optional",
    "shortened",
    "show_delta",
    "speed_notes",
]  # fmt: skip

MOST_ROWS = 1_000
"""Most rows of a table that a report shows, so that a page of 100,000 cells can be opened."""
IN_CSV = "`results.csv`, beside this report, has the values of all."
"""Where the other rows are; only for tables of values, which is all that `results.csv` holds."""
MISSING = "–"
ELSEWHERE = "†"
"""Follows a speed that was measured on another data set; a note below the table says where."""


@dataclass(frozen=True)
class DrawnInterval:
    """An interval that the page draws next to its text, on the scale of its column."""

    value: float
    low: float
    high: float
    reference: float | None = None
    """A mark to compare with: 0 for a difference, the baseline's value for a value."""


@dataclass(frozen=True)
class Keeping:
    """Which rows of a long table a report keeps, and where a reader finds the others."""

    order: tuple[int, ...] = ()
    """The places of the rows, those to keep first; empty: as they are. They are shown in the
    table's order whatever this is."""
    which: str = ""
    """In words which rows are kept; empty: the first ones."""
    rest: str = ""
    """A sentence on where all rows are; empty if no other output has them."""


def is_long(rows: int) -> bool:
    """Whether a report cuts a table of so many ``rows``."""
    return rows > MOST_ROWS


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    title: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    anchors: tuple[str, ...] = ()
    """The link target of each row; empty if nothing links to the rows."""
    figures: tuple[Figure, ...] = ()
    """Charts below the table."""
    intervals: Mapping[str, tuple[DrawnInterval | None, ...]] = field(default_factory=dict)
    """Column → the interval drawn in each of its cells."""
    extra: int = 0
    """How many columns at the end only the page shows."""
    hidden: tuple[str, ...] = ()
    """Those of the extra columns that the page shows only when they are selected."""
    page_only: bool = False
    """Whether Markdown and LaTeX leave it out: it is long, or needs the page's filters."""
    keeping: Keeping = Keeping()
    """What a report keeps of a table of more than `MOST_ROWS` rows."""
    cut: str = ""
    """How many rows were left out, and which; empty if the section has them all."""

    def limited(self) -> Section:
        """The section with at most `MOST_ROWS` rows, and a note if there are more."""
        if not is_long(len(self.rows)):
            return self
        kept = sorted(self.keeping.order[:MOST_ROWS]) or range(MOST_ROWS)
        total = counted(len(self.rows), "row", separated=True)
        text = f"The first {MOST_ROWS:,} of {total}."
        if self.keeping.which:
            text = f"{MOST_ROWS:,} of {total}: {self.keeping.which}."
        note = f"{text} {self.keeping.rest}" if self.keeping.rest else text
        return replace(
            self,
            notes=(*self.notes, note),
            rows=tuple(self.rows[k] for k in kept),
            anchors=tuple(self.anchors[k] for k in kept) if self.anchors else (),
            intervals={name: tuple(marks[k] for k in kept)
                       for name, marks in self.intervals.items()},
            cut=text,
        )  # fmt: skip

    def without_links_to(self, gone: Set[str]) -> Section:
        """The section whose charts do not link to the rows ``gone``, which the report cut."""
        return replace(self, figures=tuple(each.without_links_to(gone) for each in self.figures))

    def short(self) -> Section:
        """The section as Markdown and LaTeX show it: without what only the page shows."""
        kept = len(self.columns) - self.extra
        rows = tuple(row[:kept] for row in self.rows)
        figures = tuple(figure for figure in self.figures if not figure.page_only)
        return replace(self, columns=self.columns[:kept], rows=rows, figures=figures)


def shortened(text: str, width: int) -> str:
    """``text`` cut to ``width`` characters, ending in … if it was cut."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def optional(value: float | int | None) -> str:
    """``value`` as `number` writes it, or a dash."""
    return MISSING if value is None else number(value)


def show_delta(delta: Delta) -> str:
    """``+0.123 [+0.050, +0.190]``."""
    return f"{delta.delta:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"


def mean_text(row: Row, metric: str) -> str:
    """The mean over seeds with its spread, or a dash."""
    mean, spread = row.mean(metric), row.spread(metric)
    if mean is None:
        return MISSING
    text = number(mean) if spread is None else f"{number(mean)} ± {number(spread)}"
    return marked(text, row, metric)


def marked(text: str, row: Row, metric: str) -> str:
    """``text``, marked if the row's ``metric`` was measured on another data set."""
    return f"{text} {ELSEWHERE}" if text != MISSING and row.is_borrowed(metric) else text


def speed_notes(table: Table) -> tuple[str, ...]:
    """Where the marked speeds were measured, if there are any."""
    places = sorted({str(row.speeds.place) for row in table.rows if row.speeds and row.speeds.cell})
    if not places:
        return ()
    text = "latency and throughput are measured once for each model × quantization × adapter"
    return (f"{ELSEWHERE} {text}, here on the prompts of {'; '.join(places)}.",)


def missing_speeds(table: Table) -> tuple[str, ...]:
    """Why rows have no speed though their variant is measured in another cell."""
    notes = []
    missing = Counter(row.speeds.reason for row in table.rows if row.speeds and row.speeds.reason)
    for reason, count in missing.items():
        rows = "row has" if count == 1 else "rows have"
        notes.append(f"{count} {rows} no latency: {reason}.")
    return tuple(notes)
