"""The time that `plan --calibrate` expects is that of the run, of the right size."""

import re

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.calibrate import Expected, calibrate, shortened
from harness.run.runner import run_here


@pytest.fixture
def suite(write_suite):
    path = write_suite()
    text = path.read_text().replace("train: 48, test: 12", "train: 96, test: 48")
    path.write_text(text.replace("  dataset:", "  seed: [0, 1]\n  dataset:", 1))
    return path


def test_every_cell_gets_its_seconds_from_a_short_one_of_its_kind(suite, tmp_path):
    """How near they come depends on what else the machine does: benchmarks/test_bench_calibrate."""
    plan = make_plan(suite, tmp_path / "out")
    expected = calibrate(plan)
    run_here(plan)
    cells = {cell.key: cell.timings["total"] for cell in load_run(plan.run.directory).cells}
    assert expected.cells.keys() == cells.keys()
    assert shortened(plan) == 1
    assert 0 < expected.alone < sum(expected.cells.values())
    assert 0 < expected.start < expected.spent
    seeds = sorted(seconds for key, seconds in expected.cells.items() if "lora" in key)
    # equal but for the latency, which one of them measures for both; so does the untouched model
    assert seeds[1] - seeds[0] == pytest.approx(expected.alone / 2)


@pytest.mark.parametrize(("at_once", "total"), [(1, 58), (2, 38), (8, 28)])
def test_cells_run_side_by_side_but_for_measuring(at_once, total):
    cells = {"a": 10.0, "b": 20.0, "c": 15.0, "d": 5.0}
    assert Expected(cells, alone=10, start=8, spent=30, at_once=at_once).total == total


def test_the_plan_prints_it_and_leaves_the_run_alone(suite, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["plan", str(suite), "-o", str(out), "--calibrate"])
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"  \d+ (?:s|min)\n", result.output)) == 2  # variants of 3 cells
    assert "at a time (from" in result.output
    assert not out.exists()
