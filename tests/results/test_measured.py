"""What another cell measured is shown with where that was; what cannot be known is not shown."""

import json
from dataclasses import replace

import pytest

import harness
from harness.analysis.decision import costs as costs_of
from harness.analysis.leaderboard import build_leaderboard
from harness.analysis.objectives import standings
from harness.plan.plan import make_plan
from harness.report.files import write_report
from harness.report.sections.scores import costs, objectives
from harness.results.measured import is_shared, shared_speeds
from harness.results.merging import merged
from harness.results.packing import pack
from harness.results.run import load_run
from harness.run.runner import run_here
from harness.suite.schema import Objectives

SUITE = """\
name: once
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: finance-qa, train: 20, test: 8}, {name: ru-calculations, train: 20, test: 8}]
  seed: [0, 1]
evaluation: {noise_examples: 0}
"""
LATENCY = "latency_p50_ms"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("once")
    (folder / "models").symlink_to(root / "models")
    (folder / "once.yaml").write_text(SUITE)
    run_here(make_plan(folder / "once.yaml", folder / "out", backend="testing"))
    return folder / "out"


def tables(run):
    return {table.dataset: table for table in build_leaderboard(run).tables}


def changed(run, key, **fields):
    cells = tuple(replace(c, **fields) if key in c.key else c for c in run.cells)
    return replace(run, cells=cells)


def test_a_row_shows_what_its_variant_measured_and_marks_it(run_dir):
    found = tables(load_run(run_dir))
    own, other = (next(r for r in found[d].rows if r.adapter == "a") for d in found)
    assert (own.values(LATENCY), own.is_borrowed(LATENCY)) == ([1.0], False)
    assert (other.values(LATENCY), other.is_borrowed(LATENCY)) == ([1.0], True)
    assert not other.is_borrowed("train_seconds")
    section = costs(found["ru-calculations"])
    place = section.columns.index(LATENCY)
    assert {row[place] for row in section.rows} == {"1 †"}
    assert section.notes[0].endswith("here on the prompts of finance-qa; finance-qa, seed 0.")
    assert {row[place] for row in costs(found["finance-qa"]).rows} == {"1"}


def test_every_file_of_a_report_says_where_a_speed_is_from(run_dir, tmp_path):
    board = build_leaderboard(load_run(run_dir))
    write_report(board, tmp_path, latex=True)
    assert "| 1 † |" in (tmp_path / "leaderboard.md").read_text()
    assert "1 †" in (tmp_path / "leaderboard.html").read_text()
    assert r"1 $\dagger$" in (tmp_path / "leaderboard.tex").read_text()
    records = json.loads((tmp_path / "results.json").read_text())
    latencies = [r for r in records if r["metric"] == LATENCY]
    keys = {(c.adapter, c.dataset, c.seed): c.key for c in board.run.cells}
    for record in latencies:
        own = (record["adapter"], record["dataset"], record["seed"])
        lender = keys[record["adapter"], "finance-qa", None if own[0] == "base" else 0]
        assert record["measured_in"] == (None if keys[own] == lender else lender)
    assert len(latencies) == 6
    frame = board.to_frame().query(f"metric == '{LATENCY}'")
    assert list(frame["measured_on"].fillna("here")) == ["here", "here", "finance-qa", "finance-qa"]


REASONS = {
    "failed": ({"status": "failed", "reason": "out of memory", "values": ()}, "out of memory"),
    "missing": ({"status": "missing", "reason": "no result yet", "values": ()}, "no result yet"),
    "other hardware": ("provenance", "on other hardware"),
    "no speed": ("values", "has no speed"),
}


@pytest.mark.parametrize(("fields", "reason"), REASONS.values(), ids=REASONS)
def test_without_its_measuring_cell_a_row_has_no_speed_but_a_reason(run_dir, fields, reason):
    run = load_run(run_dir)
    cell = next(c for c in run.cells if "--a--finance-qa--s0" in c.key)
    if fields == "provenance":
        machine = {"gpu": None, "cpu": "another", "cores": 1}
        surroundings = replace(cell.provenance.environment, machine=machine)
        fields = {"provenance": replace(cell.provenance, environment=surroundings)}
    elif fields == "values":
        fields = {"values": tuple(v for v in cell.values if not is_shared(v.metric))}
    table = tables(changed(run, "--a--finance-qa--s0", **fields))["ru-calculations"]
    row = next(row for row in table.rows if row.adapter == "a")
    assert row.values(LATENCY) == []
    (note,) = (note for note in costs(table).notes if "no latency" in note)
    assert note.startswith("1 row has no latency: ")
    assert reason in note
    # the base is another variant, whose measurement stands
    assert next(row for row in table.rows if row.adapter == "base").values(LATENCY) == [1.0]


def test_a_seed_whose_measuring_seed_failed_has_no_speed(run_dir):
    run = changed(load_run(run_dir), "--a--finance-qa--s0", status="failed", values=())
    row = next(row for row in tables(run)["finance-qa"].rows if row.adapter == "a")
    assert row.values(LATENCY) == []
    assert "failed" in row.speeds.reason


def test_a_selected_data_set_says_that_its_speed_was_left_out(run_dir):
    path = run_dir.parent / "once.yaml"
    run = harness.run(
        path, output=run_dir.parent / "some", select="dataset=ru-calculations", backend="testing"
    )
    assert not any(cell.value(LATENCY) for cell in run.cells)
    assert "which is not part of this run" in costs(tables(run)["ru-calculations"]).notes[0]


def test_speeds_on_prompts_of_different_data_sets_are_not_compared(run_dir):
    run = load_run(run_dir)
    base = next(c for c in run.cells if c.adapter == "base" and c.dataset == "ru-calculations")
    own = replace(run, measured_in={k: v for k, v in run.measured_in.items() if k != base.key})
    own = changed(own, base.key, values=(*base.values, run.cells[0].value(LATENCY)))
    board = build_leaderboard(own)
    table = board.tables[1]
    found = standings(table, Objectives(max_latency_ms=5))
    assert {s.latency_ms for s in found} == {None}
    (note,) = (n for n in objectives(board, table, found).notes if "left out" in n)
    assert note.endswith("several data sets' prompts: finance-qa, ru-calculations.")


def test_packed_and_merged_runs_keep_where_speeds_were_measured(run_dir, tmp_path):
    packed = load_run(pack(run_dir, tmp_path / "run.tar.xz"))
    both = merged([packed, load_run(run_dir)])
    assert len({cell.key for cell in both.cells}) == 12
    for cell in both.cells:
        speeds = shared_speeds(both, cell)
        if cell.key not in both.measured_in:
            assert speeds is None
            continue
        # each finds the cell of its own run, though both runs have the same names
        assert speeds.cell.model == cell.model
        assert speeds.cell.value(LATENCY)
    assert len(both.measured_in) == 8


def test_a_run_of_an_older_version_measured_everywhere(run_dir, tmp_path):
    plan = json.loads((run_dir / "plan.json").read_text())
    for cell in plan["cells"]:
        cell.pop("measured_in")
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert load_run(tmp_path).measured_in == {}


def test_what_to_ship_says_on_which_prompts_an_answer_was_timed(run_dir):
    board = build_leaderboard(load_run(run_dir))
    texts = [costs_of(board.ranked[table.dataset][0]) for table in board.tables]
    assert [text[-1].partition(" an answer")[2] for text in texts] == [
        "", " (measured on finance-qa)"
    ]  # fmt: skip
