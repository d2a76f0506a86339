"""What a process of its own costs a cell: forked from the warm server against run in place.

Both sides run the same plan through `run_suite`, in turns; the server and this process have
imported torch and have run every kind of cell once before a clock starts.
"""

import statistics
import time

import pytest

from harness.plan.plan import make_plan
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

MAX_SECONDS = 0.3
"""The bar of a cell's isolation, on a machine that does nothing else."""
LOADED = 2
"""How many times that is still accepted on a machine that does something else."""
ROUNDS = 5
CELLS = {"testing": 20, "hf": 6}
SUITE = """\
name: trivial
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset:
DATASETS
evaluation: {latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 1}
"""
DATASET = "    - {name: d%d, source: ru-calculations, rows: 20, train: 2, test: 2, split_seed: %d}"


@pytest.fixture
def one_thread():
    import torch

    import harness.backends.hf.backend  # noqa: F401

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["testing", "hf"])
def test_a_process_of_its_own_costs_a_cell_little(
    one_thread, in_place, write_suite, tmp_path, benchmark, figure, backend
):
    count = CELLS[backend]
    datasets = "\n".join(DATASET % (k, k) for k in range(count))
    suite = write_suite(SUITE.replace("DATASETS", datasets))
    executors = {"forked": LocalExecutor(1, 1), "in place": in_place}

    def seconds(name, turn):
        plan = make_plan(suite, tmp_path / f"{name}-{turn}", backend=backend)
        started = time.perf_counter()
        counts = run_suite(plan, executors[name], lambda _: None)
        taken = time.perf_counter() - started
        assert counts["ok"] == count
        return taken / count

    for name in executors:
        seconds(name, "warm-up")
    pairs = [(seconds("forked", k), seconds("in place", k)) for k in range(ROUNDS)]
    overhead = statistics.median(forked - here for forked, here in pairs)
    forked, here = (statistics.median(side) for side in zip(*pairs, strict=True))
    benchmark.pedantic(seconds, ("forked", "last"), rounds=1)
    figure(
        f"isolation of a cell ({CELLS[backend] * ROUNDS} cells, {backend} backend)",
        f"≤ {MAX_SECONDS} s", f"{overhead:.3f} s", overhead <= MAX_SECONDS,
        seconds={"forked, a cell": forked, "in place, a cell": here},
    )  # fmt: skip
    assert overhead <= MAX_SECONDS * LOADED
