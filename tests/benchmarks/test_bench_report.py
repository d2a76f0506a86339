"""A report of 1,000 cells × 300 examples, in a process of its own."""

import random
import resource
import subprocess
import sys
import time

from harness.imports.imported import Imported, write_run
from harness.results import Value

WORDS = [
    "the",
    "rate",
    "of",
    "a",
    "bond",
    "falls",
    "when",
    "its",
    "price",
    "rises",
    "and",
    "a",
    "share",
    "pays",
    "what",
    "is",
    "left",
]


def cells(source):
    rng = random.Random(0)
    axes = [(m, q, a, d) for m in range(10) for q in range(4) for a in range(5) for d in range(5)]
    for m, q, a, d in axes:
        records = [
            {
                "id": f"e{i}", "prompt": f"question {i}", "example_prompt": f"question {i}",
                "reference": "reference", "prediction": " ".join(rng.choices(WORDS, k=20)),
                "finish_reason": "stop", "data_hash": str(i), "prompt_hash": str(i),
                "answered_by": "generation", "category": None, "group": None, "gold": None,
                "scores": {"rougeL": min(1, max(0, rng.gauss(0.3 + 0.02 * a, 0.15)))},
            }
            for i in range(300)
        ]  # fmt: skip
        mean = sum(r["scores"]["rougeL"] for r in records) / 300
        values = (
            Value("rougeL", mean, "F1", True, 300, mean - 0.02, mean + 0.02),
            Value("infer_peak_vram_mib", 1000 + rng.random()),
            Value("latency_p50_ms", 10 + rng.random()),
        )
        name = "base" if a == 0 else f"a{a}"
        yield Imported(
            f"m{m}", f"q{q}", name, f"d{d}", None if a == 0 else 0, "rougeL", source,
            values=values, records=records,
        )  # fmt: skip


def test_a_thousand_cells_are_rendered_within_a_minute_and_1_gib(tmp_path, benchmark):
    source = tmp_path / "source"
    source.write_text("x")
    write_run(tmp_path / "run", "big", list(cells(source)))
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "report",
        str(tmp_path / "run"),
        "-o",
        str(tmp_path / "r"),
    ]

    def render():
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - started

    seconds = benchmark.pedantic(render, rounds=1)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = (tmp_path / "r" / "leaderboard.html").stat().st_size / 1e6
    benchmark.extra_info.update({"peak MiB": peak, "page MB": size})
    assert size <= 5
    assert peak <= 1024
    assert seconds <= 60  # permutations of 800 contrasts take most of it
