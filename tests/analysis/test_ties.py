import shutil

import pytest

from harness.analysis.leaderboard import build_leaderboard
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite

SUITE = """\
name: seeds
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 60, test: 30}, {name: finance-labels, train: 60, test: 30}]
  seed: [0, 1, 2]
"""


@pytest.fixture
def run(write_suite, tmp_path):
    plan = make_plan(write_suite(SUITE), tmp_path, backend="testing")
    run_suite(plan, InProcessExecutor(), lambda _: None)
    return tmp_path


def test_rows_with_unequal_numbers_of_finished_seeds_are_grouped(run):
    for seed in (2, 1):
        for cell in (run / "cells").glob(f"*--a--*--s{seed}-*"):
            shutil.rmtree(cell)
        for table in build_leaderboard(load_run(run)).tables:
            finished = {row.adapter: len(row.values(table.primary_metric)) for row in table.rows}
            assert finished == {"base": 1, "a": seed, "b": 3}
            assert table.ties is not None
            assert (len(table.ties.letters), table.ties.pairs) == (3, 3)
