"""What the benchmarks share: the best time of several rounds."""

import time

import pytest


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
