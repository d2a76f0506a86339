"""One real grid on two GPUs against one, and side by side against one at a time on one GPU.

    python tests/benchmarks/cuda_placing.py MODEL -o placing.json [--rows 400] [--only one,packed]

Each way is a process of its own; scores and answers of every cell must be equal in all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.plan.machine import gpus
from harness.results.run import load_run

SUITE = """\
name: placing
matrix:
  model: [{name: model, card: {source: MODEL, dtype: bfloat16}}]
  adapter:
    - {name: r4, config: {r: 4, lora_alpha: 8, target_modules: all-linear}}
    - {name: r8, config: {r: 8, lora_alpha: 16, target_modules: all-linear}}
    - {name: r16, config: {r: 16, lora_alpha: 32, target_modules: all-linear}}
    - {name: r32, config: {r: 32, lora_alpha: 64, target_modules: all-linear}}
  dataset:
    - {name: finance-qa, train: ROWS, test: TEST}
    - {name: ru-calculations, train: ROWS, test: TEST}
  seed: [0, 1, 2]
training: {per_device_train_batch_size: 8, max_length: 512}
generation: {max_new_tokens: TOKENS}
evaluation: {batch_size: 32, latency_prompts: LATENCY, latency_new_tokens: 32}
"""
"""26 cells."""
WAYS = {"one": (1, 1), "packed": (1, None), "two": (2, 2), "two-packed": (2, None)}
"""How many GPUs, of those that can be seen, and how many workers."""
BACKEND: list[str] = []


def words_of(way: str, numbers: list[int]) -> list[str]:
    """The options of `harness run`; GPUs have the ``numbers`` of `nvidia-smi`."""
    count, workers = WAYS[way]
    devices = ["--devices", ",".join(map(str, numbers[:count]))] if numbers else []
    return [*devices, *(["--workers", str(workers)] if workers and numbers else [])]


def timed(suite: Path, out: Path, way: list[str], backend: list[str]) -> float:
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out)]
    began = time.monotonic()
    subprocess.run([*command, *way, *backend], check=True)
    return time.monotonic() - began


def answers(out: Path) -> dict[str, object]:
    """Cell → its answers and its scores; measurements are not among them."""
    run, found = load_run(out), {}
    for cell in run.cells:
        said = [(r["id"], r.get("prediction")) for r in run.predictions(cell)]
        scores = [(v.metric, v.category, v.value) for v in cell.values if v.n]
        found[cell.key] = {"status": cell.status, "said": said, "scores": scores}
    return found


def digest(value: object) -> str:
    """Of a cell's answers and scores, to compare ways that ran in different calls."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def devices(out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cell in load_run(out).cells:
        device = cell.facts.get("device", {})
        name = f"GPU {device.get('index')}, {device.get('cells_at_once')} at once at most"
        counts[name] = counts.get(name, 0) + 1
    return counts


def alone(out: Path) -> dict[str, float]:
    """Median latency over cells: measuring beside stopped cells must not change it."""
    values = [cell.value("latency_p50_ms") for cell in load_run(out).cells]
    numbers = sorted(v.value for v in values if v and v.value is not None)
    return {"cells": len(numbers), "median_ms": numbers[len(numbers) // 2]} if numbers else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder or hub id")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of an answer")
    parser.add_argument("--latency", type=int, default=8, help="prompts timed; 0: none")
    parser.add_argument("--only", help="ways, with commas")
    parser.add_argument("--backend", help="`testing` to try this script without a GPU")
    given = parser.parse_args()
    there = gpus()
    ways = given.only.split(",") if given.only else [
        way for way, (count, _) in WAYS.items() if count <= max(1, len(there))
    ]  # fmt: skip
    backend = ["--backend", given.backend] if given.backend else []
    found: dict[str, object] = {"gpus": [gpu.name for gpu in there], "rows": given.rows, "ways": {}}
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "suite.yaml"
        text = SUITE.replace("MODEL", given.model).replace("ROWS", str(given.rows))
        text = text.replace("TEST", str(given.test)).replace("LATENCY", str(given.latency))
        text = text.replace("TOKENS", str(given.tokens))
        suite.write_text(text)
        seen = {}
        for way in ways:
            out = Path(folder) / way
            words = words_of(way, [gpu.index for gpu in there])
            seconds = timed(suite, out, words, backend)
            seen[way] = answers(out)
            first = seen[ways[0]]
            differing = [key for key, value in seen[way].items() if first[key] != value]
            found["ways"][way] = {
                "seconds": seconds, "cells": len(seen[way]), "devices": devices(out),
                "latency": alone(out), "cells_that_differ": differing,
                "scores": {key: value["scores"] for key, value in seen[way].items()},
                "digests": {key: digest(value) for key, value in seen[way].items()},
            }  # fmt: skip
            given.output.write_text(json.dumps(found, indent=1) + "\n")
            brief = {k: v for k, v in found["ways"][way].items() if k not in ("scores", "digests")}
            print(way, json.dumps(brief), flush=True)


if __name__ == "__main__":
    main()
