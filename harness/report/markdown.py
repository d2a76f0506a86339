"""Sections as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.section import Section
from harness.results.text import printable


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """One Markdown document."""
    parts = [f"# {escaped(title)}\n"]
    for section in (section.short() for section in sections if not section.page_only):
        parts.append(f"## {escaped(section.title)}\n")
        parts += [*(f"- {escaped(note)}" for note in section.notes), *[""][: len(section.notes)]]
        for figure in section.figures:
            parts += [f"![{escaped(figure.text)}](charts/{figure.name}.svg)", ""]
        if section.rows:
            parts += [*markdown_table(section.columns, section.rows), ""]
    return "\n".join(parts)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of one table, every cell escaped."""
    body = [_line([escaped(text) for text in row]) for row in rows]
    return [_line([escaped(name) for name in columns]), _line(["---"] * len(columns)), *body]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def escaped(text: str) -> str:
    """``text`` as Markdown shows it: no link, image, HTML or table cell of its own."""
    text = printable(text)
    # `](` would make an answer a link, or an image that calls home when the file is looked at
    for raw, safe in (
        ("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;"), ("\n", "<br>"), ("](", "]\\("),
    ):  # fmt: skip
        text = text.replace(raw, safe)
    return text
