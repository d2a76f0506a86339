"""Several runs in one report: every cell is there, and only what was tested alike is ranked."""

import pytest

from harness.analysis.leaderboard import build_leaderboard
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.results.merging import merged
from harness.results.packing import pack
from harness.results.run import load_run
from harness.run.runner import run_here


@pytest.fixture(scope="module")
def run_of(tmp_path_factory, root):
    """Runs a suite of one model and one adapter on ``test`` examples into the folder ``day``."""
    folder = tmp_path_factory.mktemp("merging")
    (folder / "models").symlink_to(root / "models")

    def run(day, *, name="s", test=20, adapters="[{name: a, config: {r: 4}}]"):
        out = folder / f"{name}-{day}-{test}" / day
        if not out.exists():
            path = folder / f"{name}-{day}-{test}.yaml"
            path.write_text(
                f"name: {name}\nmatrix:\n  model: [tiny-qwen2]\n  adapter: {adapters}\n"
                f"  dataset: [{{name: ru-calculations, train: 60, test: {test}}}]\n"
            )
            run_here(make_plan(path, out, backend="testing"))
        return out

    return run


def tables(run):
    board = build_leaderboard(run)
    return {table.dataset: [row.name for row in table.rows] for table in board.tables}


def test_two_days_of_one_suite_are_both_there_named_by_run(run_of):
    run = merged([load_run(run_of("monday")), load_run(run_of("tuesday"))])
    assert tables(run) == {
        "ru-calculations": [
            f"{day}: tiny-qwen2, none, {adapter}"
            for day in ("monday", "tuesday")
            for adapter in ("base", "a")
        ]
    }
    assert all(run.predictions(cell) for cell in run.cells)
    assert len({cell.key for cell in run.cells}) == 4
    rows = build_leaderboard(run).tables[0].rows
    assert [bool(row.deltas) for row in rows] == [False, True, False, True]


def test_packed_days_are_told_apart_too(run_of, tmp_path):
    packs = [pack(run_of(day), tmp_path / day / "run.tar.xz") for day in ("monday", "tuesday")]
    run = merged([load_run(path) for path in packs])
    assert {cell.model for cell in run.cells} == {
        "monday/run.tar.xz: tiny-qwen2".replace(".tar.xz", ""),
        "tuesday/run: tiny-qwen2",
    }
    assert all(run.predictions(cell) for cell in run.cells)


def test_a_variant_keeps_its_baseline_where_one_run_lacks_the_other(run_of):
    one = run_of("monday")
    other = run_of("wednesday", adapters="[{name: b, config: {r: 8}}]")
    rows = build_leaderboard(merged([load_run(one), load_run(other)])).tables[0].rows
    assert [(row.name, bool(row.deltas)) for row in rows] == [
        ("monday: tiny-qwen2, none, base", False), ("monday: tiny-qwen2, none, a", True),
        ("wednesday: tiny-qwen2, none, base", False), ("wednesday: tiny-qwen2, none, b", True),
    ]  # fmt: skip


def test_other_test_sets_are_never_ranked_together(run_of):
    run = merged([load_run(run_of("monday")), load_run(run_of("thursday", test=24))])
    assert tables(run) == {
        f"{day}: ru-calculations": ["tiny-qwen2, none, base", "tiny-qwen2, none, a"]
        for day in ("monday", "thursday")
    }


def test_runs_of_other_suites_keep_their_names(run_of):
    other = run_of("friday", name="t", adapters="[{name: b, config: {r: 8}}]")
    run = merged([load_run(run_of("monday")), load_run(other)])
    assert run.suite["name"] == "s + t"
    assert {cell.model for cell in run.cells} == {"s: tiny-qwen2", "t: tiny-qwen2"}


def test_the_same_run_twice_is_refused(run_of):
    with pytest.raises(HarnessError, match="the same run is given twice"):
        merged([load_run(run_of("monday")), load_run(run_of("monday"))])
