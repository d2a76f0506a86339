"""Tables of very many rows: a report shows a part of them and says where the others are."""

import re
from dataclasses import replace

import pytest
from stubs import SUITE, stub_run

import harness
from harness.analysis.objectives import memory_metrics
from harness.report import section as sections
from harness.report.charts import strips
from harness.report.files import write_report
from harness.report.latex import render_latex
from harness.report.section import DrawnInterval, Keeping, Section
from harness.report.sections import sections_of

MEANS = {"base": 0.5, "a": 0.3, "b": 0.4, "c": 0.9, "d": 0.8, "e": 0.1, "f": 0.2}
"""Adapter → its mean: the best ones, and the worst ones, are not the first ones of the suite."""


@pytest.fixture(scope="module")
def board(root, tmp_path_factory):
    suite = SUITE.replace("SEEDS", "0, 1, 2").replace("test: 4", "test: 12")
    return harness.leaderboard(stub_run(tmp_path_factory.mktemp("stub"), root, suite))


@pytest.fixture(scope="module")
def many(root, tmp_path_factory):
    adapters = ", ".join(f"{{name: {name}, config: {{r: 1, lora_alpha: {k}}}}}"
                         for k, name in enumerate("abcdef", start=1))  # fmt: skip
    suite = SUITE.replace("SEEDS", "0").replace("{name: a, config: {r: 1}}", adapters)
    return harness.leaderboard(stub_run(tmp_path_factory.mktemp("many"), root, suite))


def changed(board, **fields):
    """``board`` with the scores `MEANS`, and ``fields`` of its table replaced."""
    (table,) = board.tables

    def scored(cell, mean):
        values = (replace(v, value=mean) if v.metric == table.primary_metric and not v.category
                  else v for v in cell.values)  # fmt: skip
        return replace(cell, values=tuple(values))

    rows = tuple(
        replace(row, cells=tuple(scored(cell, MEANS[row.adapter]) for cell in row.cells))
        for row in table.rows
    )
    return replace(board, tables=(replace(table, rows=rows, **fields),))


def leaderboard_of(board):
    return next(each for each in sections_of(board) if each.title.startswith("Leaderboard"))


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
    assert cut.notes[1] == "The first 2 of 3 rows."


def test_rows_are_kept_by_their_order_and_shown_in_the_tables(monkeypatch):
    monkeypatch.setattr(sections, "MOST_ROWS", 2)
    marks = (None, DrawnInterval(1, 0, 2), None)
    rows = (("1",), ("2",), ("3",))
    keeping = Keeping((2, 1, 0), "the last", "More is elsewhere.")
    whole = Section("T", (), ("a",), rows, ("x", "y", "z"), (), {"a": marks}, keeping=keeping)
    cut = whole.limited()
    assert (cut.rows, cut.anchors, cut.intervals) == (rows[1:], ("y", "z"), {"a": marks[1:]})
    assert cut.notes == ("2 of 3 rows: the last. More is elsewhere.",)


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


def test_only_tables_of_values_lead_to_the_table_of_values(board, monkeypatch):
    monkeypatch.setattr(sections, "MOST_ROWS", 1)
    cut = {each.title.partition(":")[0]: " ".join(each.notes)
           for each in sections_of(board) if each.cut}  # fmt: skip
    led = {title for title, notes in cut.items() if "results.csv" in notes}
    assert led == {"Leaderboard", "Cost", "Categories"}
    assert {"Flips", "Answers", "Settings"} <= set(cut) - led


@pytest.mark.parametrize(
    ("fields", "kept", "words"),
    [
        ({"higher_is_better": True}, ["base", "c", "d"], "the best by numeric_accuracy"),
        ({"higher_is_better": False}, ["base", "e", "f"], "the best by numeric_accuracy"),
        ({"higher_is_better": None}, ["base", "a", "b"], "the first of the others"),
        ({"test_sets": 2}, ["base", "a", "b"], "the first of the others"),
    ],
    ids=["higher", "lower", "no direction", "other examples"],
)
def test_a_long_leaderboard_keeps_baselines_and_the_best(many, monkeypatch, fields, kept, words):
    monkeypatch.setattr(sections, "MOST_ROWS", 3)
    found = leaderboard_of(changed(many, **fields))
    assert [row[found.columns.index("adapter")] for row in found.rows] == kept
    assert found.cut == (
        f"3 of 7 rows: the variants that the decision names, the baselines, and {words}."
    )


def test_the_variant_of_the_decision_is_kept_before_all(many, monkeypatch):
    monkeypatch.setattr(sections, "MOST_ROWS", 1)
    found = leaderboard_of(changed(many))
    assert [row[found.columns.index("adapter")] for row in found.rows] == ["c"]


def test_a_cheaper_variant_that_the_card_names_is_kept(many, monkeypatch):
    """The card calls it by a short name, without the model that it shares with the best one."""
    monkeypatch.setattr(sections, "MOST_ROWS", 3)
    shown = changed(many)
    (table,) = shown.tables

    def gained(row):
        deltas = {name: replace(each, verdict="better") for name, each in row.deltas.items()}
        mib = 100.0 if row.adapter == "f" else 9_000.0
        cells = tuple(
            replace(cell, values=tuple(replace(v, value=mib) if v.metric in memory_metrics(table)
                                       else v for v in cell.values))
            for cell in row.cells
        )  # fmt: skip
        return replace(row, deltas=deltas, cells=cells)

    found = leaderboard_of(
        replace(shown, tables=(replace(table, rows=tuple(map(gained, table.rows))),))
    )
    assert [row[found.columns.index("adapter")] for row in found.rows] == ["base", "c", "f"]


@pytest.mark.parametrize("most", [3, 1_000])
def test_every_link_of_a_report_leads_to_a_row_that_it_shows(many, tmp_path, monkeypatch, most):
    monkeypatch.setattr(sections, "MOST_ROWS", most)
    shown = changed(many)
    write_report(shown, tmp_path)
    rows = leaderboard_of(shown).anchors
    page = (tmp_path / "leaderboard.html").read_text()
    for text in (page, *(path.read_text() for path in (tmp_path / "charts").iterdir())):
        linked = set(re.findall(r'href="#(ru-calculations-[^"]+)"', text))
        assert linked <= set(rows)
    links = re.findall(r'href="#(ru-calculations-[^"]+)"', page)
    assert set(links) == set(rows)
    assert 'xlink:href=""' not in page
    assert page.count('class="pt') == len(MEANS)


def test_the_caption_in_latex_says_that_rows_are_left_out(many, monkeypatch):
    monkeypatch.setattr(sections, "MOST_ROWS", 3)
    text = render_latex("T", sections_of(changed(many)))
    assert r"\caption{Leaderboard: ru-calculations. 3 of 7 rows: the variants that" in text
    assert r"the best by numeric\_accuracy.}" in text
    assert r"\caption{Flips: ru-calculations. The first 3 of 6 rows.}" in text
    assert "results.csv" not in text


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
