"""Of a big grid the charts draw the rows that a reader decides among, and say what they leave out."""

import pytest

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import build_leaderboard
from harness.importers.imported import Imported, write_run
from harness.report.charts.of_table import figures
from harness.report.drawn_rows import drawn_rows
from harness.report.figure import MAX_ROWS
from harness.report.page.leads import leads
from harness.results.result import Value
from harness.results.run import load_run

RECORD = {
    "reference": "reference", "prediction": "answer", "finish_reason": "stop", "data_hash": "d",
    "prompt_hash": "p", "answered_by": "generation", "category": None, "group": None, "gold": None,
}  # fmt: skip
MANY = MAX_ROWS + 2


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A grid whose adapters get better in the order of the suite, each with two seeds."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "source").write_text("x")
    cells = [
        Imported(
            "m", "none", "base" if k == 0 else f"a{k:02}", "data", None if k == 0 else seed,
            "rougeL", folder / "source",
            values=(Value("rougeL", 0.2 + 0.01 * k, "F1", True, 6),
                    Value("infer_peak_vram_mib", 1000.0 + k), Value("latency_p50_ms", 9.0),
                    Value("latency_p95_ms", 9.5), Value("latency_p99_ms", 9.9)),
            records=[{**RECORD, "id": f"e{i}", "prompt": f"{i}", "example_prompt": f"{i}",
                      "scores": {"rougeL": 0.2 + 0.01 * k}} for i in range(6)],
        )
        for k in range(MANY + 1)
        for seed in range(1 if k == 0 else 2)
    ]  # fmt: skip
    write_run(folder / "run", "big", cells)
    return build_leaderboard(load_run(folder / "run"))


def test_every_chart_draws_the_best_rows_in_suite_order_and_says_so(board):
    (table,) = board.tables
    best = [row.name for row in table.rows if row.adapter != "base"][-MAX_ROWS:]
    assert [row.name for row in drawn_rows(table, table.compared()).rows] == best
    made = figures(board, table, board.ranked["data"])
    drawn = {figure.name.partition("-")[0]: figure for figure in made}
    assert {"forest", "trade", "seeds", "latency"} <= drawn.keys()
    for kind in ("forest", "trade", "seeds", "latency"):
        figure = drawn[kind]
        assert (
            f" {MAX_ROWS} of {MANY}" in figure.text or f" {MAX_ROWS} of {MANY + 1}" in figure.text
        )
        assert "the ones with the best ROUGE-L" in figure.text
    values = drawn["forest"].spec["data"]["values"]
    assert [value["row"] for value in values] == best


def test_the_leads_draw_the_best_rows_and_count_all(board):
    numbers = {row.name: k for k, row in enumerate(board.tables[0].rows)}
    found = leads(board, decisions(board), numbers)
    real = found["real", "data"]
    assert f": {MANY}; " in real.sentence
    assert len(real.chart.bars) == MAX_ROWS
    assert f"{MAX_ROWS} of {MANY} variants are drawn" in real.chart.title
    assert len(found["answers", "data"].chart.shares) == MAX_ROWS


def test_a_table_that_fits_is_drawn_whole_without_a_word(board):
    rows = board.tables[0].compared()[:5]
    assert drawn_rows(board.tables[0], rows) == (rows, "")


def test_what_the_choices_change_says_what_its_chart_shows(board):
    numbers = {row.name: k for k, row in enumerate(board.tables[0].rows)}
    choice = leads(board, decisions(board), numbers)["choice", "data"]
    assert choice.sentence.endswith(f"against the untouched model: {MANY} undecided.")
    assert "no two are compared" in choice.chart.title
