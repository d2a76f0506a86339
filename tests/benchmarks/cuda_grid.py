"""A whole grid of SmolLM2 on one card against plain scripts: `reports/benchmarks/cuda_grid.md`.

    python tests/benchmarks/cuda_grid.py FOLDER -o OUT [--ways alone,packed,3,6] [--no-scripts]
    python tests/benchmarks/cuda_grid.py models/tiny-qwen2 -o /tmp/out --tiny --ways 2

Six cells: bf16 and NF4, each untouched and with LoRA of rank 8 and 32, on the shipped finance
questions. The other side is a process for each cell (`plain_cell.py`), which trains, answers,
and measures loss, latency and memory as the harness does. `--ways` names how the harness places
its cells: `alone` is one at a time, `again` the same once more, `packed` its own choice, a number that many
workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = """\
name: cuda-grid
matrix:
  model: [{name: model, card: {source: MODEL, dtype: bfloat16, prompt: PROMPT}}]
  quantization: [none, nf4]
  adapter:
    - {name: r8, config: {r: 8, lora_alpha: 16, lora_dropout: 0.05, target_modules: all-linear}}
    - {name: r32, config: {r: 32, lora_alpha: 64, lora_dropout: 0.05, target_modules: all-linear}}
  dataset: [{name: finance-qa, train: TRAIN, test: TEST}]
training:
  num_train_epochs: 2
  per_device_train_batch_size: 8
  learning_rate: 5e-4
  lr_scheduler_type: cosine
  warmup_steps: 10
  max_length: 512
generation: {max_new_tokens: TOKENS}
evaluation: {batch_size: 32, latency_prompts: 4}
"""
FULL = {"TRAIN": "480", "TEST": "96", "TOKENS": "128"}
TINY = {"TRAIN": "16", "TEST": "4", "TOKENS": "4"}


# ---- the harness --------------------------------------------------------------------------------


def by_harness(suite: Path, out: Path, way: str) -> dict[str, object]:
    """Run the suite in a process of its own, and say when what began."""
    began = time.monotonic()
    command = [sys.executable, __file__, "inner", str(suite), str(out), way, repr(began)]
    subprocess.run(command, check=True)
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 2), **_told(out)}


def inner(suite: str, out: str, way: str, began: str) -> None:
    """The process of `by_harness`: what `harness run` does, with the time of each event."""
    from harness.api.running import execute
    from harness.api.suites import plan

    start, events = float(began), []
    events.append((time.monotonic() - start, "", "imported", ""))
    planned = plan(suite, output=out)
    events.append((time.monotonic() - start, "", "planned", ""))

    def tell(event):
        events.append((round(time.monotonic() - start, 3), event.key, event.kind, event.text))

    workers = int(way) if way.isdecimal() else {"alone": 1, "again": 1, "packed": None}[way]
    execute(planned, on_event=tell, workers=workers)
    events.append((time.monotonic() - start, "", "ran", ""))
    Path(out, "events.json").write_text(json.dumps(events))


def _told(out: Path) -> dict[str, object]:
    from harness.results.run import load_run

    cells = {}
    for cell in load_run(out).cells:
        names = (
            "eval_loss",
            "rougeL",
            "latency_p50_ms",
            "train_peak_vram_mib",
            "infer_peak_vram_mib",
        )
        log = out / "cells" / cell.key / "train_log.jsonl"
        lines = log.read_text().splitlines() if log.is_file() else []
        cells[cell.key] = {
            "status": cell.status, "reason": cell.reason,
            "timings": {k: round(v, 2) for k, v in cell.timings.items()},
            "values": {n: v.value for n in names if (v := cell.value(n))},
            "losses": [json.loads(line).get("loss") for line in lines],
            "training": cell.facts.get("trained", {}).get("training"),
            "decoding": cell.facts.get("decoding"), "device": cell.facts.get("device"),
        }  # fmt: skip
    return {"events": json.loads((out / "events.json").read_text()), "cells": cells}


# ---- plain scripts ------------------------------------------------------------------------------


def by_scripts(suite: Path, folder: Path) -> dict[str, object]:
    """Run a script for each cell, one after another."""
    found, total = {}, 0.0
    for name, settings in settings_of(suite, folder):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(settings))
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(HERE / "plain_cell.py"), str(path)],
            stdout=subprocess.PIPE, text=True, check=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )  # fmt: skip
        seconds = time.monotonic() - began
        total += seconds
        found[name] = {"seconds": round(seconds, 2), **json.loads(done.stdout.splitlines()[-1])}
        parts = {k: round(v, 1) for k, v in found[name]["parts"].items()}
        print(f"script {name}: {seconds:.1f} s", parts, flush=True)
    return {"seconds": round(total, 2), "cells": found}


def settings_of(suite: Path, folder: Path):
    """Each cell of the suite as what a script reads."""
    from plain_trl import chat

    from harness.datasets.splits import load_splits
    from harness.plan.plan import make_plan
    from harness.suite.options import HARNESS_TRAINING_KEYS

    for decision in make_plan(suite, folder / "plan").decisions:
        cell = decision.cell
        splits = load_splits(cell.dataset, Path(cell.base_folder))
        training = {k: v for k, v in cell.training.items() if k not in HARNESS_TRAINING_KEYS}
        yield (
            decision.key,
            {
                "model": cell.model.source,
                "quantization": cell.quantization if cell.quantization != "none" else None,
                "adapter": {k: v for k, v in cell.adapter_config.items() if k != "peft_type"},
                "training": training,
                "scratch": str(folder / "scratch"),
                "batch": cell.evaluation.batch_size,
                "max_new_tokens": cell.generation["max_new_tokens"],
                "latency_prompts": cell.evaluation.latency_prompts,
                "latency_new_tokens": cell.evaluation.latency_new_tokens,
                "train": [
                    {
                        "prompt": chat(e),
                        "completion": [{"role": "assistant", "content": e.reference}],
                    }
                    for e in splits.train
                ],
                "test": [{"prompt": chat(e), "reference": e.reference} for e in splits.test],
            },
        )


# ---- together -----------------------------------------------------------------------------------


def show(way: str, found: dict[str, object]) -> None:
    """Print where the seconds of a run went."""
    print(f"== {way}: {found['seconds']} s", flush=True)
    for when, key, kind, text in found["events"]:
        print(f"   {when:7.2f} {key:40s} {kind} {text}")
    for key, cell in found["cells"].items():
        print("  ", key, cell["status"], cell["reason"] or "", json.dumps(cell["timings"]))
        print("     ", json.dumps(cell["values"]), "last losses", cell["losses"][-3:])
        print("     ", json.dumps(cell["training"]), json.dumps(cell["device"]))
        print("     ", json.dumps(cell["decoding"]), flush=True)


def compared(ways: dict[str, dict], scripts: dict | None) -> None:
    """Print how the sides' losses and scores differ, and the ratio of their seconds."""
    first = next(iter(ways.values()))
    for way, found in ways.items():
        differing = [
            key for key, cell in found["cells"].items()
            if cell["values"].get("rougeL") != first["cells"][key]["values"].get("rougeL")
            or cell["losses"] != first["cells"][key]["losses"]
        ]  # fmt: skip
        times = (
            "" if scripts is None else f"; scripts {scripts['seconds'] / found['seconds']:.2f} x"
        )
        print(f"{way}: {found['seconds']} s{times}; other losses or scores: {differing}")
    for key, plain in (scripts or {"cells": {}})["cells"].items():
        ours = first["cells"].get(key)
        if ours is None or not ours["values"]:
            continue
        gaps = [abs(a - b) for a, b in zip(ours["losses"], plain["losses"], strict=False)]
        said = (
            f"losses apart {max(gaps):.4f} at most, {statistics.fmean(gaps):.4f} mean"
            if gaps
            else ""
        )
        print(
            key, "eval_loss", ours["values"].get("eval_loss"), plain["eval_loss"],
            "rougeL", ours["values"].get("rougeL"), plain["rougeL"],
            "latency", ours["values"].get("latency_p50_ms"), plain["latency_ms"], said,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--ways", default="packed,alone,3,6")
    parser.add_argument("--tiny", action="store_true", help="a few rows, to try this without a GPU")
    parser.add_argument("--no-scripts", action="store_true")
    parser.add_argument("--only-scripts", action="store_true", help="against the runs in OUT")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    text = SUITE.replace("MODEL", str(Path(given.model).resolve()))
    text = text.replace("PROMPT", "chat")
    for word, value in (TINY if given.tiny else FULL).items():
        text = text.replace(word, value)
    suite = given.output / "suite.yaml"
    suite.write_text(text)
    sizes = {"sizes": {"test": int(FULL["TEST"]), "prompts": 4}}
    ways: dict[str, dict] = {}
    scripts = None
    if given.only_scripts and (given.output / "grid.json").is_file():
        ways = json.loads((given.output / "grid.json").read_text())["ways"]
    for way in filter(None, "" if given.only_scripts else given.ways.split(",")):
        out = given.output / f"run-{way}"
        try:
            ways[way] = by_harness(suite, out, way)
            show(way, ways[way])
        except Exception as error:
            print(f"!! {way}: {type(error).__name__}: {error}", flush=True)
        (given.output / "grid.json").write_text(
            json.dumps({**sizes, "ways": ways, "scripts": scripts})
        )
    if not given.no_scripts:
        scripts = by_scripts(suite, given.output)
        (given.output / "grid.json").write_text(
            json.dumps({**sizes, "ways": ways, "scripts": scripts})
        )
    if ways:
        compared(ways, scripts)


if __name__ == "__main__":
    inner(*sys.argv[2:]) if sys.argv[1:2] == ["inner"] else main()
