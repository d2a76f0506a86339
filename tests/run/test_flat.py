"""A thousand cells leave nothing behind: memory, open files, threads, processes, folders."""

import os
import tempfile
from pathlib import Path

import psutil
import pytest
from stubs import stub_plan

from harness.results.paths import RunPaths
from harness.run.executors.in_process import InProcessExecutor
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

CELLS = int(os.environ.get("HARNESS_FLAT_CELLS", "1000"))
SETTLED = CELLS // 10
"""Cells after which everything is imported and every cache of a fixed size is full."""
MORE_MIB = 16
"""That memory may grow from there on: measured were 1 MiB in process and none forked."""


def held():
    """MiB of this process and of the fork server, and what else they hold."""
    own = psutil.Process()
    helpers = own.children()
    counts = (
        len(helpers),
        sum(process.num_fds() for process in (own, *helpers)),
        sum(process.num_threads() for process in (own, *helpers)),
        len(list(Path(tempfile.gettempdir()).iterdir())),
    )
    return [process.memory_info().rss / 2**20 for process in (own, *helpers)], counts


@pytest.mark.reliability
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "executor", [InProcessExecutor, lambda: LocalExecutor(1, 1)], ids=["in_process", "forked"]
)
def test_a_thousand_cells_keep_everything_flat(write_suite, tmp_path, monkeypatch, executor):
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    plan = stub_plan(write_suite, tmp_path / "run", seeds=CELLS - 1)
    seen = []

    def tell(event):
        if event.is_end:
            seen.append(held())

    counts = run_suite(plan, executor(), tell)
    assert counts["ok"] == len(seen) == len(plan.decisions)
    memory, others = seen[SETTLED]
    last, last_others = seen[-1]
    print(f"MiB {memory} to {last}; processes, files, threads, folders {others} to {last_others}")
    for number, before in enumerate(others):
        now = [counts[number] for _, counts in seen[SETTLED:]]
        # the server may be seen in the moment in which it takes a request: a file more, for once
        assert min(now[-SETTLED:]) == min(now[:SETTLED])
        assert max(now) - before <= 2
    for before, after in zip(memory, last, strict=True):
        assert after - before <= MORE_MIB
    assert len(list(RunPaths(tmp_path / "run").cells.iterdir())) == len(seen)
