"""Sections as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.sections import Section


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """One Markdown document."""
    parts = [f"# {title}\n"]
    for section in sections:
        parts.append(f"## {section.title}\n")
        parts += [f"- {_escaped(note)}" for note in section.notes]
        parts.append("")
        if section.rows:
            parts.append(_line(section.columns))
            parts.append(_line(["---"] * len(section.columns)))
            parts += [_line([_escaped(text) for text in row]) for row in section.rows]
            parts.append("")
    return "\n".join(parts)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    for raw, safe in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;"), ("\n", "<br>")):
        text = text.replace(raw, safe)
    return text
