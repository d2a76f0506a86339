"""Reports: a pure function of a run directory."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from harness.leaderboard import TIDY_COLUMNS, Leaderboard, tidy_records
from harness.paths import write_bytes, write_json, write_text
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.sections import sections_of

__all__ = ["is_written", "write_report"]


FILES = ("leaderboard.md", "leaderboard.html", "results.json", "results.csv", "results.parquet")


def is_written(directory: Path) -> bool:
    """Whether every file of a report stands in ``directory``."""
    return all((directory / name).is_file() for name in FILES)


def write_report(board: Leaderboard, directory: Path) -> list[Path]:
    """Write the leaderboards and the results table of ``board`` to ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    run, sections = board.run, sections_of(board)
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
    writer = csv.DictWriter(table, TIDY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_text(directory / "results.csv", table.getvalue())
    _write_parquet(records, directory / "results.parquet")
    return [directory / name for name in FILES]


def _write_parquet(records: list[dict[str, Any]], path: Path) -> None:
    """The results table with columns typed even where a run has no value in them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"seed": pa.int64(), "n": pa.int64(), "higher_is_better": pa.bool_()}
    kinds |= dict.fromkeys(("value", "ci_low", "ci_high"), pa.float64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in TIDY_COLUMNS])
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema=schema), content)
    write_bytes(path, content.getvalue())
