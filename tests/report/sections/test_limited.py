"""Tables of very many rows: a report shows the first of them and says where the others are."""

import pytest
from stubs import SUITE, stub_run

import harness
from harness.report import section as sections
from harness.report.charts import strips
from harness.report.section import DrawnInterval, Section
from harness.report.sections import sections_of


@pytest.fixture(scope="module")
def board(root, tmp_path_factory):
    suite = SUITE.replace("SEEDS", "0, 1, 2").replace("test: 4", "test: 12")
    return harness.leaderboard(stub_run(tmp_path_factory.mktemp("stub"), root, suite))


def test_rows_anchors_and_intervals_are_cut_alike(monkeypatch):
    monkeypatch.setattr(sections, "MOST_ROWS", 2)
    marks = (DrawnInterval(1, 0, 2), None, DrawnInterval(3, 2, 4))
    whole = Section(
        "T", ("n",), ("a",), (("1",), ("2",), ("3",)), ("x", "y", "z"), (), {"a": marks}
    )
    cut = whole.limited()
    assert (cut.rows, cut.anchors) == (whole.rows[:2], whole.anchors[:2])
    assert cut.intervals == {"a": marks[:2]}
    assert cut.notes[0] == "n"
    assert "first 2 of 3 rows" in cut.notes[1]
    assert "`results.csv`" in cut.notes[1]


@pytest.mark.parametrize("rows", [0, 1_000])
def test_a_table_of_a_usual_size_is_left_as_it_is(rows):
    table = Section("T", (), ("a",), (("1",),) * rows)
    assert table.limited() is table


def test_every_section_of_a_report_is_cut(board, monkeypatch):
    before = {each.title: len(each.rows) for each in sections_of(board)}
    assert max(before.values()) > 1
    monkeypatch.setattr(sections, "MOST_ROWS", 1)
    assert {title: min(n, 1) for title, n in before.items()} == {
        each.title: len(each.rows) for each in sections_of(board)
    }


def test_categories_are_means_over_seeds(board):
    (table,) = board.tables
    (found,) = [each for each in sections_of(board) if each.title.startswith("Categories")]
    cells = [row[:5] for row in found.rows]
    assert len(set(cells)) == len(cells)
    tuned = next(row for row in table.rows if row.adapter == "a")
    for *_, category, metric, shown, n in (row for row in found.rows if row[2] == "a"):
        values = [
            value
            for cell in tuned.cells
            for value in cell.values
            if (value.category, value.metric) == (category, metric)
        ]
        assert len(values) == 3
        assert float(shown) == pytest.approx(sum(v.value for v in values) / 3, abs=1e-3)
        assert n == str(values[0].n)


def test_a_chart_of_too_many_points_is_left_out(board, monkeypatch):
    (table,) = board.tables
    assert strips.seed_spread(table) is not None
    monkeypatch.setattr(strips, "MOST_POINTS", 2)
    assert strips.seed_spread(table) is None
