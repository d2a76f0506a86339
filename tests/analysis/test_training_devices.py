"""Variants that were trained on different numbers of devices: no training time is compared."""

from dataclasses import replace

import pytest

from harness.analysis.cautions import cautions
from harness.analysis.cost_ratios import cost_ratios
from harness.analysis.leaderboard import build_leaderboard
from harness.plan.plan import make_plan
from harness.report.charts.of_table import _points
from harness.report.page.picture import _costs
from harness.report.sections.leaders import _page_only
from harness.results.result import save_result
from harness.results.run import load_run
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite

SUITE = """\
name: several
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 8, test: 6}]
"""


@pytest.fixture
def trained_on(write_suite, tmp_path):
    """The run of two adapters, the second of which says that it was trained on several devices."""

    def run(devices):
        plan = make_plan(write_suite(SUITE), tmp_path / "run", backend="testing")
        run_suite(plan, InProcessExecutor(), lambda event: None)
        found = load_run(tmp_path / "run")
        (cell,) = (cell for cell in found.cells if cell.adapter == "b")
        facts = {**cell.facts, "trained": {"training": {"engine": "trl", "devices": devices}}}
        save_result(found.paths(cell), replace(cell, facts=facts))
        return load_run(tmp_path / "run")

    return run


@pytest.mark.parametrize(("devices", "compared"), [(1, True), (2, False)])
def test_training_times_are_compared_on_equal_numbers_of_devices(trained_on, devices, compared):
    run = trained_on(devices)
    board = build_leaderboard(run)
    (table,) = board.tables
    assert table.numbers_of_devices() == {1, devices}
    said = [caution.text for caution in cautions(board, table) if "training times" in caution.text]
    assert said == (
        [] if compared else ["Trained on 1 or 2 devices: training times are not compared."]
    )
    assert bool(_points(table, (), "training")) is compared
    assert ("training" in _costs(table, table.rows)) is compared
    assert ("train_seconds" in _page_only(table, list(table.rows))) is compared
    a, b = (next(cell for cell in run.cells if cell.adapter == name) for name in "ab")
    pairs = {("v", "d", 0): (a, b)}
    assert ("training time" in cost_ratios(pairs)) is compared
    assert "latency" in cost_ratios(pairs)  # measured on one device either way
