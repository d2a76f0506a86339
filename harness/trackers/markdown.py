"""A table as Markdown, for trackers that show text alone."""

from __future__ import annotations

from harness.counting import counted
from harness.trackers.messages import Scalar, TableOf

MOST_ROWS = 500
"""Rows of a table that are shown as text; the page and the files hold all of them."""


def markdown_table(table: TableOf) -> str:
    """``table`` in Markdown, its first rows if it is long."""
    lines = [_line(table.columns), _line(["---"] * len(table.columns))]
    lines += [_line(row) for row in table.rows[:MOST_ROWS]]
    more = len(table.rows) - MOST_ROWS
    return "\n".join(lines) + (f"\n\n… and {counted(more, 'more row')}" if more > 0 else "")


def _line(values: list[Scalar] | list[str]) -> str:
    return "| " + " | ".join(map(_cell, values)) + " |"


def _cell(value: Scalar) -> str:
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
