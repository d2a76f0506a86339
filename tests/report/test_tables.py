"""The results table as files: their content, and when JSON is one of them."""

import csv
import io
import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from harness.analysis.leaderboard import build_leaderboard
from harness.commands.report import report
from harness.plan.plan import make_plan
from harness.report import tables
from harness.report.files import is_written, write_report
from harness.report.tables import CHUNK, JSON_RECORDS, tables_left_out, write_tables
from harness.results.paths import json_text
from harness.results.run import load_run
from harness.results.text import csv_cell
from harness.results.tidy import TIDY_COLUMNS
from harness.run.runner import run_here

NAMES = {"results.csv", "results.json", "results.parquet"}


def rows_of(count):
    """Rows with what is hard to write: text of formulas and controls, empty and whole numbers."""
    odd = ("=1+1", "\x1b[31m", 'a "quoted", one', "línea\nnueva", "", None)
    return [
        (
            "suite", f"cell {i}", "ok", "finetuned", "m", "none", odd[i % 6], "d", None,
            None if i % 3 else i, "rougeL", None if i % 5 == 0 else i / 7, "F1", i % 2 == 0,
            i, -0.5, 0.5, None,
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1])
def test_every_table_holds_the_same_records_whatever_their_number(tmp_path, count):
    rows = rows_of(count)
    assert set(write_tables(rows, tmp_path)) == NAMES
    records = [dict(zip(TIDY_COLUMNS, row, strict=True)) for row in rows]
    assert (tmp_path / "results.json").read_text() == json_text(records)
    assert pq.read_table(tmp_path / "results.parquet").to_pylist() == records
    expected = io.StringIO()
    writer = csv.DictWriter(expected, TIDY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in r.items()} for r in records)
    assert (tmp_path / "results.csv").read_bytes() == expected.getvalue().encode()


def test_parquet_is_whole_over_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 7)
    write_tables(rows_of(20), tmp_path)
    found = pq.ParquetFile(tmp_path / "results.parquet")
    assert found.num_row_groups == 3
    assert found.read().column("n").to_pylist() == list(range(20))


def test_a_large_run_has_json_on_request_and_none_of_an_earlier_report(tmp_path):
    small, large = rows_of(3), rows_of(3) * (JSON_RECORDS // 3 + 1)
    write_tables(small, tmp_path)
    assert tables_left_out(tmp_path) is None
    assert "results.json" not in write_tables(large, tmp_path)
    assert not (tmp_path / "results.json").exists()  # it was of other results
    assert "harness report --json" in tables_left_out(tmp_path)
    assert "results.json" in write_tables(large, tmp_path, json=True)
    assert len(json.loads((tmp_path / "results.json").read_text())) == len(large)
    assert tables_left_out(tmp_path) is None


def test_a_report_is_up_to_date_with_the_files_that_it_wrote(write_suite, tmp_path, monkeypatch):
    from click.testing import CliRunner

    out = tmp_path / "out"
    run_here(make_plan(write_suite(), out, backend="testing"))
    board = build_leaderboard(load_run(out))
    write_report(board, out)
    assert is_written(out)
    (out / "results.json").unlink()
    assert not is_written(out)  # a small run has it
    monkeypatch.setattr(tables, "JSON_RECORDS", 1)
    done = CliRunner().invoke(report, [str(out)])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("results.json is left out") == 1
    assert is_written(out)
    done = CliRunner().invoke(report, [str(out), "--json"])
    assert str(out / "results.json") in done.stdout
    assert "left out" not in done.output
    assert is_written(out)


def test_a_table_finds_the_direction_that_each_result_says(write_suite, tmp_path):
    """The directions of unregistered metrics are found once for a table, never across tables."""
    run_here(make_plan(write_suite(), tmp_path / "out", backend="testing"))
    (table, *_) = build_leaderboard(load_run(tmp_path / "out")).tables
    cell = table.rows[0].cells[0]
    said = [replace(cell.values[0], metric="theirs", higher_is_better=x) for x in (True, False)]
    for values, expected in ((said[:1], True), (said[1:], False), (said, None)):
        row = replace(table.rows[0], cells=(replace(cell, values=tuple(values)),))
        assert replace(table, rows=(row,)).direction("theirs") is expected
