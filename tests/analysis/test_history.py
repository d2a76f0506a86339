"""Several runs of one suite in time: values, what changed, and the comparison with the last."""

import pytest

import harness
from harness.analysis.history import History, Point, RunPoint, VariantHistory, history
from harness.plan.plan import make_plan
from harness.report.files import write_report
from harness.report.sections.history import _figures, runs_in_time
from harness.report.sections.history import history as section
from harness.results.run import load_run
from harness.run.runner import run_here

SUITE = """\
name: over-time
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: R}}EXTRA]
  dataset: [{name: ru-calculations, train: 60, test: 24}]
"""


@pytest.fixture
def runs(write_suite, tmp_path):
    """Three runs: as planned, with another rank, and with one adapter more."""
    places = []
    for name, rank, extra in (
        ("monday", 4, ""), ("tuesday", 8, ""), ("wednesday", 8, ", {name: b, config: {r: 2}}"),
    ):  # fmt: skip
        suite = write_suite(SUITE.replace("R}", f"{rank}}}").replace("EXTRA", extra))
        run_here(make_plan(suite, tmp_path / name, backend="testing"))
        places.append(tmp_path / name)
    return places


def test_each_variant_has_a_point_per_run_and_the_change_of_settings(runs, tmp_path):
    board = harness.leaderboard(runs)
    found = board.history
    assert [run.name.split("/")[-1] for run in found.runs] == ["monday", "tuesday", "wednesday"]
    assert any(
        text.startswith("adapter_config.r: 4 → 8 (1 of 2 variants)")
        for text in found.runs[1].changes
    )
    assert any(text.startswith("new: tiny-qwen2, none, b") for text in found.runs[2].changes)
    by_name = {each.variant: each for each in found.variants}
    tuned = by_name["tiny-qwen2, none, a"]
    assert [point.run for point in tuned.points] == [0, 1, 2]
    last = tuned.points[-1]
    assert last.against == 1
    assert last.delta.delta == pytest.approx(last.value - tuned.points[1].value)
    assert tuned.points[1].delta.delta == pytest.approx(
        tuned.points[1].value - tuned.points[0].value
    )
    assert [point.run for point in by_name["tiny-qwen2, none, b"].points] == [2]
    base = by_name["tiny-qwen2, none, base"].points[-1]
    assert base.delta.delta == 0
    assert found.families[2] == 2
    pair = next(p for p in harness.compare(*runs[1:]) if "none, a," in p.name)
    expected = pair.deltas["numeric_accuracy"]
    assert (last.delta.delta, last.delta.low, last.delta.p_value) == (
        expected.delta, expected.low, expected.p_value,
    )  # fmt: skip

    files = write_report(board, tmp_path / "report")
    text = next(path for path in files if path.name == "leaderboard.md").read_text()
    assert "adapter\\_config.r: 4 → 8" in text or "adapter_config.r: 4 → 8" in text
    row = next(
        line for line in text.splitlines() if "numeric_accuracy" in line and "none, a" in line
    )
    assert "ru-calculations" in row
    assert list((tmp_path / "report" / "charts").glob("history-*.svg"))


def test_one_run_or_runs_of_two_suites_have_no_history(runs):
    first = load_run(runs[0])
    assert history([first], ["a"]) is None
    other = load_run(runs[2])
    other.suite["name"] = "another"
    assert history([first, other], ["a", "b"]) is None
    board = harness.leaderboard(first)
    assert not section(board).rows
    assert not runs_in_time(board).rows


def test_the_last_run_alone_decides(runs):
    from harness.analysis.decision import decisions
    from harness.report.sections.verdict import verdict

    board = harness.leaderboard(runs)
    alone = harness.leaderboard(runs[-1])
    assert len(board.tables[0].rows) > len(alone.tables[0].rows)
    (made,), (wanted,) = decisions(board), decisions(alone)
    assert made.outcome == wanted.outcome
    assert made.row.name.endswith(wanted.row.name)
    assert "wednesday" in made.row.name
    assert made.facts == wanted.facts
    names = {axis: [each.name for each in found.contrasts] for axis, found in board.along.items()}
    assert names == {
        axis: [each.name for each in found.contrasts] for axis, found in alone.along.items()
    }
    text = " ".join(verdict(board, board.ranked).notes)
    assert "wednesday" in text
    assert "monday" not in text

    asked = harness.leaderboard(runs, metric="exact_match", baseline_of="quantization").last
    assert asked.tables[0].primary_metric == "exact_match"
    assert not any(row.deltas for row in asked.tables[0].rows)


def test_the_last_run_is_what_is_shown_first_and_lines_break_at_other_examples(runs, write_suite):
    from harness.analysis.decision import decisions
    from harness.report.page.html import page_of

    suite = write_suite(SUITE.replace("R}", "8}").replace("EXTRA", "").replace("24", "30"))
    thursday = runs[0].parent / "thursday"
    run_here(make_plan(suite, thursday, backend="testing"))
    board = harness.leaderboard([*runs, thursday])
    assert [table.dataset.partition(": ")[0].split("/")[-1] for table in board.tables] == [
        "thursday", "monday", "tuesday", "wednesday",
    ]  # fmt: skip
    assert [each.dataset for each in decisions(board)] == [board.tables[0].dataset]
    shown = page_of(harness.leaderboard(runs))
    names = [shown.variants[point.number][0]
             for drawn in shown.first.pictures.values() for point in drawn.points]  # fmt: skip
    assert names
    assert all("wednesday" in name for name in names)

    # a line of the history breaks where runs have other examples
    (figure,) = section(board).figures
    drawn = [p for p in figure.spec["data"]["values"] if p["variant"] == "tiny-qwen2, none, a"]
    segments = [point["segment"] for point in drawn]
    assert len(segments) == 4
    assert len(set(segments[:3])) == 1
    assert segments[3] != segments[2]
    gone = [p for p in figure.spec["data"]["values"] if p["variant"] == "tiny-qwen2, none, b"]
    assert not gone, "the last run lacks it, so nobody can choose it"


@pytest.mark.parametrize(
    ("higher", "last", "said", "drawn"),
    [
        (True, 1, "the 8 with the best last value", range(4, 12)),
        (False, 1, "the 8 with the best last value", range(8)),
        (None, 1, "the first 8 of the last run", range(8)),
        (True, 0, "the first 8 of the suite", range(8)),
    ],
)
def test_a_chart_says_which_of_many_variants_it_draws(higher, last, said, drawn):
    """Of a metric without a direction no value is the best."""
    runs = (RunPoint("monday", ""), RunPoint("tuesday", ""))
    variants = tuple(
        VariantHistory("d", f"v{k:02}", "mine", higher, tuple(
            Point(run, float(k), None, None, 1) for run in range(last + 1)
        ))
        for k in range(12)
    )  # fmt: skip
    (figure,) = _figures(History(runs, variants))
    assert f"of 12 variants {said}." in figure.text
    shown = {point["variant"] for point in figure.spec["data"]["values"]}
    assert shown == {f"v{k:02}" for k in drawn}
