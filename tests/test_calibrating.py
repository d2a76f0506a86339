"""The time that `plan --calibrate` expects is that of the run, of the right size."""

import re

import pytest
from click.testing import CliRunner

from harness.calibrating import calibrate, shortened
from harness.cli import main
from harness.results import load_run
from harness.runner import make_plan, run_here


@pytest.fixture
def suite(write_suite):
    path = write_suite()
    text = path.read_text().replace("train: 48, test: 12", "train: 96, test: 48")
    path.write_text(text.replace("  dataset:", "  seed: [0, 1]\n  dataset:", 1))
    return path


def test_the_expected_seconds_are_near_those_of_the_run(suite, tmp_path):
    plan = make_plan(suite, tmp_path / "out")
    expected = calibrate(plan)
    run_here(plan, workers=1)
    cells = {cell.key: cell.timings["total"] for cell in load_run(plan.run.directory).cells}
    assert expected.cells.keys() == cells.keys()
    assert shortened(plan) == 1
    # what else runs on the machine slows one side more; the benchmark tells how near it comes
    assert 0.1 < sum(expected.cells.values()) / sum(cells.values()) < 10
    assert 0 < expected.alone < sum(expected.cells.values())
    beside = (sum(expected.cells.values()) - expected.alone) / min(expected.at_once, 3)
    assert expected.total == pytest.approx(expected.start + expected.alone + beside)
    assert expected.start > 0
    seeds = sorted(seconds for key, seconds in expected.cells.items() if "lora" in key)
    assert seeds[0] == seeds[1]


def test_the_plan_prints_it_and_leaves_the_run_alone(suite, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["plan", str(suite), "-o", str(out), "--calibrate"])
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"; \d+ (?:s|min)\n", result.output)) == 3
    assert "at a time (from" in result.output
    assert not out.exists()
