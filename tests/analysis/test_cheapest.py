"""A row is named cheapest only where its measurements can tell."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.cheapest import fastest, least_memory
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import standings
from harness.analysis.table import Row, Table
from harness.analysis.ties import Ties
from harness.report.sections.verdict import cost_notes, verdict
from harness.results.result import CellResult, Value
from harness.results.run import Run
from harness.suite.schema import Objectives


def cell(name, memory, latency=20.0, *, seed=0, quality=0.5, cv=0.01, of="vram", **more):
    values = (
        Value("rougeL", quality, n=10), Value(f"infer_peak_{of}_mib", memory),
        Value("latency_p50_ms", latency), Value("latency_cv", cv),
    )  # fmt: skip
    return CellResult(
        f"{name}{seed}", "ok", "m", "none", name, "d", seed, "f", primary_metric="rougeL",
        values=values, **more,
    )  # fmt: skip


def table(*rows, baseline=None):
    made = tuple(Row("m", "none", cells[0].adapter, tuple(cells), baseline, {}) for cells in rows)
    letters = Ties({row.name: "a" for row in made}, {})
    return Table("d", "generation", "rougeL", made, ties=letters)


def named(found):
    return found.standing.row.adapter if found.standing else None


def least(made):
    return least_memory(made, standings(made, Objectives()))


MEMORY = {
    "clearly less": ([1000.0, 900.0], "r1"),
    "half a per cent is noise": ([1000.0, 996.0], None),
    "two MiB of a small process are noise": ([100.0, 98.5], None),
    "the two least are alike": ([1000.0, 900.0, 899.0], None),
    "one alone": ([1000.0], None),
    "not measured": ([None, None], None),
    "measured in one row alone": ([None, 900.0], None),
}


@pytest.mark.parametrize(("sizes", "wins"), MEMORY.values(), ids=MEMORY)
def test_memory_within_its_noise_has_no_winner(sizes, wins):
    made = table(*([cell(f"r{k}", size)] for k, size in enumerate(sizes)))
    assert named(least(made)) == wins


def test_a_process_s_memory_is_noisier_than_an_allocator_s():
    first = [cell("a", 1000.0, of="rss")]
    assert named(least(table(first, [cell("b", 920.0, of="rss")]))) is None
    assert named(least(table(first, [cell("b", 700.0, of="rss")]))) == "b"


def test_what_lies_below_its_own_base_shows_the_noise():
    base = cell("base", 1000.0, seed=None)
    rows = [[base], [cell("r1", 960.0)], [cell("r2", 1010.0)]]
    found = least(table(*rows, baseline=base))
    assert (found.standing, found.noise) == (None, 40.0)
    rows[1] = [cell("r1", 960.0, answered_by="head")]  # other work: less memory can be real
    assert named(least(table(*rows, baseline=base))) == "r1"


def test_the_spread_over_seeds_is_noise():
    made = table([cell("a", 1000.0), cell("a", 1060.0, seed=1)], [cell("b", 970.0)])
    assert least(made).standing is None
    assert least(made).noise == pytest.approx(2 * 42.426, abs=0.01)


@pytest.mark.parametrize(
    ("times", "cv", "wins"),
    [([20.0, 15.0], 0.01, "r1"), ([20.0, 19.6], 0.01, None), ([20.0, 15.0], 0.4, None)],
)
def test_a_latency_that_did_not_settle_has_no_winner(times, cv, wins):
    made = table(*([cell(f"r{k}", 900.0, time, cv=cv)] for k, time in enumerate(times)))
    assert named(fastest(standings(made, Objectives()))) == wins


def test_the_verdict_names_no_winner_inside_the_noise_and_says_so():
    made = table([cell("a", 1000.0, 20.0, quality=0.6)], [cell("b", 998.0, 15.0)])
    ranked = standings(made, Objectives())
    (note,) = cost_notes(made, ranked)
    assert note == (
        "d: 2 of the 2 tied rows are within 5 MiB of the lowest memory. That is no more than the"
        " measurement's noise, so no row is named as the lowest."
    )
    board = _board(made)
    rows = verdict(board, {"d": ranked}).rows
    assert [(row[1], row[2]) for row in rows] == [
        ("highest mean", "m, none, a"), ("tied, fastest", "m, none, b"),
    ]  # fmt: skip


def test_the_best_mean_can_be_the_cheapest_itself():
    made = table([cell("a", 500.0, 5.0, quality=0.6)], [cell("b", 998.0, 15.0)])
    rows = verdict(_board(made), {"d": standings(made, Objectives())}).rows
    assert [row[1] for row in rows] == ["highest mean, least memory, fastest"]


def _board(made):
    run = Run(Path("x"), {"name": "s"}, {}, tuple(c for row in made.rows for c in row.cells))
    return Leaderboard(run, (made,), Objectives())


OVERLAPS = {
    "none": ({"overlap_exact": 0, "overlap_near": 0, "test_rows": 90}, None),
    "a few nearly": ({"overlap_exact": 0, "overlap_near": 4, "test_rows": 90}, None),
    "most nearly": (
        {"overlap_exact": 0, "overlap_near": 82, "test_rows": 90},
        "Warning: d: of 90 test prompts, 82 nearly repeat a training prompt.",
    ),
    "one exactly": (
        {"overlap_exact": 1, "overlap_near": 0, "test_rows": 90},
        "Warning: d: of 90 test prompts, 1 also occurs in training word for word.",
    ),
    "both": (
        {"overlap_exact": 2, "overlap_near": 3, "test_rows": 10},
        "of 10 test prompts, 2 also occur in training word for word and 3 nearly repeat a training prompt.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), OVERLAPS.values(), ids=OVERLAPS)
def test_overlap_with_training_reaches_the_verdict(data, said):
    made = table([replace(cell("a", 1000.0), data=data)])
    notes = " ".join(verdict(_board(made), {"d": standings(made, Objectives())}).notes)
    assert (said in notes) if said else "training" not in notes
