"""Render every committed report again from the packed runs beside it.

    python reports/regenerate.py

A test compares what this writes with what is committed (`tests/report/test_committed.py`). After a
new run: `harness pack runs/finance -o reports/finance/run.tar.xz`, then this.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from harness.analysis.leaderboard import build_leaderboard
from harness.report.files import write_report
from harness.results.merging import merged
from harness.results.run import load_run

HOME = Path(__file__).parent


class Report(NamedTuple):
    """What a folder is rendered from."""

    packs: tuple[str, ...] = ("run",)
    title: str | None = None


REPORTS = {
    "finance": Report(),
    "published": Report(
        (
            "llama2-finance-alpaca-tiny", "qwen2-finance-alpaca-tiny", "tinyllama-finance-qa-tiny",
            "mistral-russian-calculations-tiny", "finance-text-classification-tiny",
        ),
        "Published pipelines: claims",
    ),
    "geometry": Report(),
    "real": Report(),
    "real-sweep": Report(),
    "real-text": Report(),  # packed without texts: they are not ours to pass on
}  # fmt: skip
"""Folder → the packed runs in it, in the report's order, and the page's title."""


def render(folder: str, output: Path) -> None:
    """Write the report of ``folder`` to ``output``; charts that it no longer has go."""
    wanted = REPORTS[folder]
    runs = [load_run(HOME / folder / f"{name}.tar.xz") for name in wanted.packs]
    shutil.rmtree(output / "charts", ignore_errors=True)
    board = build_leaderboard(merged(runs, name=wanted.title))
    write_report(board, output, title=wanted.title)


if __name__ == "__main__":
    for name in REPORTS:
        render(name, HOME / name)
        print(HOME / name)
