"""The files of a report: Markdown, the page, charts, and the results as tables."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import Leaderboard
from harness.extras import is_installed
from harness.report.latex import render_latex
from harness.report.markdown import render_markdown
from harness.report.page.html import page_of, render_html
from harness.report.sections import sections_of
from harness.report.sections.decided import decided
from harness.report.tables import CSV, PARQUET, write_tables
from harness.results.paths import write_text
from harness.results.state import forget_shown, is_shown, note_shown, one_report
from harness.results.tidy import tidy_rows

__all__ = ["is_written", "write_report"]

FILES = ("leaderboard.md", "leaderboard.html", CSV)
"""Files that every report has."""


def is_written(directory: Path) -> bool:
    """Whether ``directory`` holds every file of a report, and they show the run as it is now."""
    files = [*FILES, PARQUET] if is_installed("pyarrow") else FILES
    return all((directory / name).is_file() for name in files) and is_shown(directory)


def write_report(
    board: Leaderboard, directory: Path, *, title: str | None = None, latex: bool = False,
    templates: Path | None = None, json: bool = False,
) -> list[Path]:  # fmt: skip
    """Write the leaderboards, charts and the results table of ``board`` to ``directory``.

    Args:
        board: What is reported.
        directory: Where the files go; charts go to ``charts/`` in it.
        title: Instead of the suite's name.
        latex: Write ``leaderboard.tex`` too.
        templates: A folder whose Jinja templates replace or extend the shipped ones.
        json: Write ``results.json`` of a large run, too.
    """
    directory.mkdir(parents=True, exist_ok=True)
    run, sections = board.run, sections_of(board)
    if not run.has_texts:
        latex = _clear(directory) or latex
    # a report of several runs, or one in another folder, does not show this folder's run
    own = not run.homes and directory.resolve() == run.directory.resolve()
    title = title or f"{run.suite['name']}: leaderboard"
    figures = [figure for section in sections for figure in section.figures]
    drawn = {figure.name: figure.svg for figure in figures}
    page = render_html(title, sections, drawn=drawn, page=page_of(board), templates=templates)
    # the page has cards instead of this table
    opening = decided(decisions(board))
    texts = {
        "leaderboard.md": render_markdown(title, [opening, *sections]), "leaderboard.html": page,
    }  # fmt: skip
    texts |= {f"charts/{f.name}.svg": drawn[f.name] + "\n" for f in figures if not f.page_only}
    if latex:
        texts["leaderboard.tex"] = render_latex(title, sections)
    with one_report(directory):
        forget_shown(directory)
        for name, text in texts.items():
            write_text(directory / name, text)
        tables = write_tables(list(tidy_rows(run)), directory, json=json)
        names = ["leaderboard.md", "leaderboard.html", *tables]
        if latex:
            names.append("leaderboard.tex")
        if own:
            note_shown(directory, run.state, files=names)
    return [directory / name for name in names]


def _clear(directory: Path) -> bool:
    """Delete charts and PDF of an earlier report; return whether it left LaTeX, which quotes too.

    A report without texts must not stand among files with them.
    """
    for path in (directory / "charts").glob("*.svg"):
        path.unlink(missing_ok=True)
    (directory / "leaderboard.pdf").unlink(missing_ok=True)
    return (directory / "leaderboard.tex").is_file()
