"""The rows of one table of the page: escaped cells, their sort keys, and drawn intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from harness.report.section import DrawnInterval, Section

AXES = ("model", "quantization", "adapter", "data set", "seed", "category", "metric", "verdict")
"""Columns that a reader may group a table by."""
SHORT = 32
"""Cells with fewer characters are not wrapped."""
WIDTH, PAD = 100.0, 2.0
"""Width of an interval's drawing and the margin at its ends, in units of the SVG's viewBox."""
_NUMBER = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?=$|[\s\[%:])")


def sort_key(text: str) -> str:
    """The sort key of a cell: the number that it begins with, else its text.

    A change, ``before → after``, sorts by the value after it.
    """
    text = text.rpartition(" → ")[2] if text[:1] in "-−0123456789" else text
    number = _NUMBER.match(text)
    return number[0].replace(",", "").replace("−", "-").rstrip("%") if number else text


def groupings(section: Section) -> list[str]:
    """Columns worth grouping by: axes with several values, some of them in more than one row."""
    columns = []
    for place, column in enumerate(section.columns):
        values = {row[place] for row in section.rows} if column in AXES else set()
        if 1 < len(values) < len(section.rows):
            columns.append(column)
    return columns


def body(section: Section, numbers: Mapping[str, int] | None = None) -> str:
    """The rows of ``section`` as HTML; every text is escaped.

    Args:
        section: The section.
        numbers: Variant → its number in the page; a row of a variant carries it.
    """
    drawn = {
        section.columns.index(column): _drawn(marks)
        for column, marks in section.intervals.items()
        if any(marks)
    }
    lines = []
    for number, row in enumerate(section.rows):
        name = f' id="{escape(section.anchors[number])}"' if section.anchors else ""
        of = _variant(section.columns, row, numbers or {})
        cells = [
            _cell(text, drawn[place][number] if place in drawn else "")
            for place, text in enumerate(row)
        ]
        lines.append(f"<tr{name}{'' if of is None else f' data-v={of}'}>{''.join(cells)}</tr>")
    return "\n".join(lines)


def _variant(columns: Sequence[str], row: Sequence[str], numbers: Mapping[str, int]) -> int | None:
    """The number of the variant that a row is of; None if it is of several or of none."""
    if tuple(columns[:3]) == ("model", "quantization", "adapter"):
        return numbers.get(", ".join(row[:3]))
    for column in ("variant", "row against column"):
        if column in columns:
            return numbers.get(row[columns.index(column)])
    return None


def _cell(text: str, drawing: str) -> str:
    # the attribute costs bytes in thousands of cells, so it is left out if the text sorts as it is
    key = sort_key(text)
    sorted_by = f' data-sort="{escape(key)}"' if key != text else ""
    look = text if text in ("better", "worse", "failed") else "short" if len(text) < SHORT else ""
    styled = f' class="{look}"' if look else ""
    return f"<td{sorted_by}{styled}>{escape(text)}{drawing}</td>"


def _drawn(marks: Sequence[DrawnInterval | None]) -> list[str]:
    """One SVG per cell, all on one scale: the interval, its point and its reference.

    The cell's text holds the same numbers, so the drawing is hidden from screen readers.
    """
    drawn = [mark for mark in marks if mark is not None]
    ends = [end for mark in drawn for end in (mark.low, mark.high, mark.value)]
    ends += [mark.reference for mark in drawn if mark.reference is not None]
    low, high = min(ends), max(ends)
    scale = (WIDTH - 2 * PAD) / (high - low) if high > low else 0.0
    return [_svg(mark, low, scale) if mark else "" for mark in marks]


def _svg(mark: DrawnInterval, low: float, scale: float) -> str:
    """The line, the point and notches at the reference, as one path: a page holds thousands."""
    first, last, point = (PAD + (v - low) * scale for v in (mark.low, mark.high, mark.value))
    path = f"M{first:.1f} 5H{last:.1f}M{point - 1:.1f} 3h2v4h-2z"
    if mark.reference is not None:
        against = PAD + (mark.reference - low) * scale
        path += f"M{against:.1f} 0v2M{against:.1f} 8v2"
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{path}"/></svg>'
    )
