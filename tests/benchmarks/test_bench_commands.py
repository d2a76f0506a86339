"""The command line's budgets, as ratios to the cost of starting Python or importing torch."""

import subprocess
import sys
import time

import pytest

from harness.executors.local import LocalExecutor
from harness.runner import make_plan, run_suite

MANY = """\
name: many
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
  seed: [0, 1, 2, 3, 4, 5, 6, 7]
"""


def seconds(*words):
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


@pytest.fixture(scope="module")
def torch_import():
    return min(seconds("-c", "import torch") for _ in range(2))


def test_help_costs_a_fifth_of_importing_torch(benchmark, torch_import):
    benchmark(seconds, "-m", "harness.cli", "--help")
    assert benchmark.stats["median"] < torch_import / 5


def test_plan_costs_less_than_importing_torch(benchmark, torch_import, root):
    suite = str(root / "suites" / "finance.yaml")
    benchmark(seconds, "-m", "harness.cli", "plan", suite)
    assert benchmark.stats["median"] < torch_import


def test_a_run_with_nothing_to_do_costs_less_than_importing_torch(
    benchmark, torch_import, write_suite, tmp_path
):
    from harness.leaderboard import build_leaderboard
    from harness.report import write_report
    from harness.results import load_run

    suite, out = write_suite(MANY), tmp_path / "r"
    run_suite(make_plan(suite, out), LocalExecutor(2, 1), lambda _: None, backend="testing")
    write_report(build_leaderboard(load_run(out)), out)
    benchmark(seconds, "-m", "harness.cli", "run", str(suite), "-o", str(out))
    assert benchmark.stats["median"] < torch_import


def test_a_thousand_cells_expand_faster_than_torch_is_imported(
    benchmark, torch_import, write_suite
):
    seeds = ", ".join(map(str, range(500)))
    suite = write_suite(MANY.replace("0, 1, 2, 3, 4, 5, 6, 7", seeds))
    plan = benchmark.pedantic(make_plan, (suite, None), rounds=1)
    assert len(plan.decisions) == 1001
    assert benchmark.stats["median"] < torch_import
