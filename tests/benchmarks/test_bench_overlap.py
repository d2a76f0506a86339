"""Near duplicates among 100,000 rows of 60 words: seconds, and the memory of the whole process."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

ROWS, WORDS = 100_000, 60
MAX_SECONDS, MAX_MIB = 20, 500
MEASURED = """
import json, resource, sys, time
from pathlib import Path
from harness.datasets.splits import load_splits
from harness.suite.schema import DatasetEntry

started = time.perf_counter()
found = load_splits(DatasetEntry(name="big", source="big.jsonl"), Path(sys.argv[1]))
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time(), "mib": peak, **found.overlap.record()}))
"""


def _text(kind: str, rng: random.Random, words: list[str], body: list[str]) -> str:
    if kind == "prose":  # Zipf: most words are few, as in a language
        return " ".join(words[int(len(words) ** rng.random()) - 1] for _ in range(WORDS))
    changed = list(body)  # a template: the same words but for a fifth, so that buckets are full
    for k in rng.sample(range(WORDS), WORDS // 5):
        changed[k] = str(rng.randrange(10**6))
    return " ".join(changed)


@pytest.mark.parametrize("kind", ["prose", "templates"])
def test_100_000_rows_are_split_and_compared(tmp_path, benchmark, figure, kind) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(0)
    words = [
        "".join(rng.choices("abcdefghiklmnoprstuv", k=rng.randint(2, 9))) for _ in range(30_000)
    ]
    bodies = [rng.sample(words, WORDS) for _ in range(15)]
    with (tmp_path / "big.jsonl").open("w") as file:
        for k in range(ROWS):
            text = _text(kind, rng, words, bodies[k % len(bodies)])
            file.write(json.dumps({"instruction": text, "output": f"answer {k}"}) + "\n")

    def measure() -> dict[str, float]:
        command = [sys.executable, "-c", MEASURED, str(tmp_path)]
        return json.loads(
            subprocess.run(command, capture_output=True, check=True, text=True).stdout
        )

    found = benchmark.pedantic(measure, rounds=1)
    met = found["seconds"] <= MAX_SECONDS and found["mib"] <= MAX_MIB
    figure(
        f"100,000 rows of 60 words ({kind}) read, split and compared",
        f"≤ {MAX_SECONDS} s, ≤ {MAX_MIB} MiB",
        f"{found['seconds']:.1f} s, {found['mib']:.0f} MiB", met, seconds={"harness": found["seconds"], "harness, of a core": found["cpu_seconds"]},
    )  # fmt: skip
    print(f"\n{kind}: {found}")
    assert met
