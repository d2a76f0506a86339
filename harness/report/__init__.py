"""Reports: a pure function of a run directory."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from harness.leaderboard import build_leaderboard, tidy_records
from harness.paths import write_json, write_text
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.sections import sections_of
from harness.results import Run

__all__ = ["write_report"]


def write_report(run: Run, directory: Path) -> list[Path]:
    """Write the leaderboards and the results table of ``run`` to ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    sections = sections_of(build_leaderboard(run))
    title = f"{run.suite['name']}: leaderboard"
    texts = {
        "leaderboard.md": render_markdown(title, sections),
        "leaderboard.html": render_html(title, sections),
    }
    records = tidy_records(run)
    for name, text in texts.items():
        write_text(directory / name, text)
    write_json(directory / "results.json", records)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(records[0]) if records else ["suite"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_text(directory / "results.csv", table.getvalue())
    return [directory / name for name in (*texts, "results.json", "results.csv")]
