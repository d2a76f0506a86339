"""What a cell costs that has no model: in this process, and in one of its own.

Cells of the testing backend after a warm-up. Processor time is that of this process, the fork
server and the workers that it has waited for; the bars are for wall time on quiet cores.
"""

import os
import time

import psutil
import pytest
from stubs import stub_plan

from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

CELLS = int(os.environ.get("HARNESS_STUB_CELLS", "200"))
WARM_UP = 20
BARS = {"in process": 30, "forked, one worker": 60, "forked, two workers": 60}
"""Milliseconds of a cell."""


def processor_seconds():
    own = psutil.Process()
    used = [own.cpu_times(), *(child.cpu_times() for child in own.children())]
    return sum(u.user + u.system + u.children_user + u.children_system for u in used)


@pytest.mark.parametrize("way", BARS)
def test_a_stub_cell_costs_milliseconds(way, in_place, write_suite, tmp_path, benchmark, figure):
    plan = stub_plan(write_suite, tmp_path / "run", seeds=CELLS + WARM_UP)
    executor = in_place if way == "in process" else LocalExecutor(2 if "two" in way else 1, 1)
    clocks = []

    def tell(event):
        if event.is_end:
            clocks.append((time.monotonic(), processor_seconds()))

    counts = benchmark.pedantic(run_suite, (plan, executor, tell), rounds=1)
    assert counts["ok"] == len(clocks) == len(plan.decisions)
    (began, before), (ended, after) = clocks[WARM_UP], clocks[-1]
    cells = len(clocks) - 1 - WARM_UP
    wall, cpu = (1000 * span / cells for span in (ended - began, after - before))
    figure(
        f"a stub cell, {way}", f"≤ {BARS[way]} ms", f"{wall:.0f} ms", wall <= BARS[way],
        more={"processor ms": f"{cpu:.0f}"},
    )  # fmt: skip
    print(f"{way}: {wall:.1f} ms a cell, {cpu:.1f} ms of processor time")
    # under load the clock says little
    assert min(wall, cpu) <= BARS[way]
