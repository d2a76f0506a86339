"""Sections as LaTeX tables in booktabs style, for papers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.section import Section, anchor
from harness.results.text import printable

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "†": r"$\dagger$", "Δ": r"$\Delta$", "±": r"$\pm$", "–": "--", "−": "$-$", "→": r"$\to$",
    "≥": r"$\geq$", "×": r"$\times$", "▲": r"$\uparrow$", "▼": r"$\downarrow$", "“": "``",
    "”": "''", "\n": " ",
}  # fmt: skip


def render_latex(title: str, sections: Sequence[Section]) -> str:
    """One file of tables, each with its caption and label."""
    tables = [
        _table(section.short()) for section in sections if section.rows and not section.page_only
    ]
    # escaped, too: a line break in the title would end the comment
    head = f"% {escaped(title)}\n% needs \\usepackage{{booktabs}}"
    return "\n\n".join([head, *tables]) + "\n"


def _table(section: Section) -> str:
    columns = "l" * len(section.columns)
    # a paper has no notes below its tables, and must not pass a part off as the whole
    caption = f"{section.title}. {section.cut}" if section.cut else section.title
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{anchor(section.title)}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
        _row(section.columns), r"\midrule", *(_row(row) for row in section.rows), r"\bottomrule",
        r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(texts: Sequence[str]) -> str:
    return " & ".join(escaped(text) for text in texts) + r" \\"


def escaped(text: str) -> str:
    """``text`` with every character that LaTeX reads as markup spelled out."""
    return "".join(_ESCAPES.get(character, character) for character in printable(text))
