"""What the benchmarks share: the best time of several rounds, and what the page says of each."""

import time

import pytest

from harness.run.executors.in_process import InProcessExecutor


@pytest.fixture
def best_seconds():
    """Gives a function: the least wall-clock seconds of ``rounds`` calls."""

    def measure(call, rounds):
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    return measure


@pytest.fixture
def figure(benchmark):
    """Gives a function that keeps a line of `reports/benchmarks/cpu.md` in the benchmark's JSON.

    ``bar`` and ``measured`` are text with their unit, ``met`` whether the bar is; ``more`` holds
    ratios beside the main one and ``seconds`` what they are made of.
    """

    def keep(name, bar, measured, met, *, more=None, seconds=None):
        benchmark.extra_info.update(
            figure=name, bar=bar, measured=measured, met=bool(met), more=more or {},
            seconds=seconds or {},
        )  # fmt: skip

    return keep


@pytest.fixture
def in_place():
    """The executor without processes."""
    return InProcessExecutor()
