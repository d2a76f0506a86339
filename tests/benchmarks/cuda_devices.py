"""One cell on two GPUs against the same on one: `devices: 2` and `requires.gpus: 2`, bf16 and NF4.

    python tests/benchmarks/cuda_devices.py FOLDER -o OUT [--tiny]

Two processes with batches of 4 must give the losses of one with batches of 8, but for rounding:
`again` is the training on one GPU a second time, and shows how far two equal trainings come apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from harness.results.run import load_run

LORA = "config: {r: 8, lora_alpha: 16, target_modules: all-linear}"
SUITE = f"""\
name: devices
matrix:
  model:
    - {{name: model, card: {{source: MODEL, dtype: bfloat16, prompt: chat}}}}
    - name: split
      card: {{source: MODEL, dtype: bfloat16, prompt: chat, requires: {{gpus: 2}}}}
  quantization: [none, nf4]
  adapter:
    - {{name: one, {LORA}, training: {{per_device_train_batch_size: 8, engine: trl}}}}
    - {{name: again, {LORA}, training: {{per_device_train_batch_size: 8, engine: trl}}}}
    - {{name: two, {LORA}, training: {{per_device_train_batch_size: 4, devices: 2}}}}
  dataset: [{{name: finance-qa, train: ROWS, test: TEST}}]
exclude: [{{model: split, adapter: again}}, {{model: split, adapter: two}}]
training: {{learning_rate: 5e-4, max_length: 512}}
generation: {{max_new_tokens: 48}}
evaluation: {{latency_prompts: 2, noise_examples: 0}}
"""


def losses(out: Path, key: str) -> list[float]:
    lines = (out / "cells" / key / "train_log.jsonl").read_text().splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


def apart(one: list[float], other: list[float]) -> dict[str, float]:
    gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
    return {"most": max(gaps), "mean": statistics.fmean(gaps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    suite, out = given.output / "suite.yaml", given.output / "run"
    text = SUITE.replace("MODEL", str(Path(given.model).resolve()))
    text = text.replace("ROWS", "16" if given.tiny else "240")
    suite.write_text(text.replace("TEST", "4" if given.tiny else "32"))
    subprocess.run(
        [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out)], check=False
    )
    found: dict[str, object] = {}
    cells = {(c.model, c.quantization, c.adapter): c for c in load_run(out).cells}
    for (model, quantization, adapter), cell in cells.items():
        name = f"{model} {quantization} {adapter}"
        print(name, cell.status, cell.reason or "", json.dumps(cell.timings))
        if cell.status != "ok":
            log = out / "cells" / cell.key / "cell.log"
            print(log.read_text()[-6000:] if log.is_file() else "no log")
            continue
        names = ("eval_loss", "rougeL", "train_peak_vram_mib", "train_seconds", "latency_p50_ms")
        values = {n: v.value for n in names if (v := cell.value(n))}
        loaded = {k: cell.facts["loaded"].get(k) for k in ("split_over", "peaks_mib")}
        found[name] = {
            "values": values, "training": cell.facts.get("trained", {}).get("training"),
            "loaded": loaded, "decoding": cell.facts.get("decoding"),
        }  # fmt: skip
        first = cells["model", quantization, "one"]
        if adapter != "base" and first is not cell and first.status == "ok":
            mine = losses(out, first.key)
            found[name]["losses_from_one"] = apart(mine, losses(out, cell.key))  # type: ignore[index]
        print(name, json.dumps(found[name]), flush=True)
    (given.output / "devices.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
