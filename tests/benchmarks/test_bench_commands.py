"""The command line's budgets, as ratios to the cost of starting Python or importing torch."""

import subprocess
import sys
import time

import pytest

from harness.analysis.leaderboard import build_leaderboard
from harness.plan.plan import make_plan
from harness.report.files import write_report
from harness.results.run import load_run
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

MANY = """\
name: many
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
  seed: [0, 1, 2, 3, 4, 5, 6, 7]
"""
SEEDS = "0, 1, 2, 3, 4, 5, 6, 7"
THOUSAND = ", ".join(map(str, range(500)))


def seconds(*words):
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


@pytest.fixture(scope="module")
def torch_import():
    return min(seconds("-c", "import torch") for _ in range(2))


@pytest.fixture
def against_torch(benchmark, figure, torch_import):
    """Gives a function: hold the benchmark's median against a share of importing torch."""

    def hold(name, share=1.0):
        median = benchmark.stats["median"]
        bar = "< 1 import of torch" if share == 1 else f"< {share:g} imports of torch"
        figure(
            name, bar, f"{median / torch_import:.2f} imports of torch",
            median < share * torch_import,
            seconds={"command": median, "import torch": torch_import},
        )  # fmt: skip
        assert median < share * torch_import

    return hold


def finished(suite, out, executor):
    """Every cell of ``suite`` run by the backend without torch, and the reports written."""
    run_suite(make_plan(suite, out, backend="testing"), executor, lambda _: None)
    write_report(build_leaderboard(load_run(out)), out)


def test_help_costs_a_fifth_of_importing_torch(benchmark, against_torch):
    benchmark(seconds, "-m", "harness.cli", "--help")
    against_torch("`harness --help`", 0.2)


def test_plan_costs_less_than_importing_torch(benchmark, against_torch, root):
    suite = str(root / "suites" / "finance.yaml")
    benchmark(seconds, "-m", "harness.cli", "plan", suite)
    against_torch("`harness plan suites/finance.yaml`")


def test_a_run_with_nothing_to_do_costs_less_than_importing_torch(
    benchmark, against_torch, write_suite, tmp_path
):
    suite, out = write_suite(MANY), tmp_path / "r"
    finished(suite, out, LocalExecutor(2, 1))
    benchmark(seconds, "-m", "harness.cli", "run", str(suite), "-o", str(out))
    against_torch("`harness run` of 17 finished cells")


def test_a_finished_run_of_a_thousand_cells_costs_less_than_importing_torch(
    benchmark, against_torch, write_suite, tmp_path, in_place
):
    suite, out = write_suite(MANY.replace(SEEDS, THOUSAND)), tmp_path / "r"
    finished(suite, out, in_place)
    words = ("-m", "harness.cli", "run", str(suite), "-o", str(out))
    benchmark.pedantic(seconds, words, rounds=3)
    against_torch("`harness run` of 1,001 finished cells")


def test_a_thousand_cells_expand_faster_than_torch_is_imported(
    benchmark, against_torch, write_suite
):
    suite = write_suite(MANY.replace(SEEDS, THOUSAND))
    plan = benchmark.pedantic(make_plan, (suite, None), rounds=1)
    assert len(plan.decisions) == 1001
    against_torch("a plan of 1,001 cells")
