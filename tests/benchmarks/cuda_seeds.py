"""The training engine against `SFTTrainer` over five seeds: `reports/benchmarks/cuda_seeds.md`.

    python tests/benchmarks/cuda_seeds.py FOLDER -o OUT [--tiny]

LoRA on a pretrained model and the shipped finance questions, 300 steps, with and without dropout.
Every seed is trained by both engines from the same adapter weights, in the same order. Without
dropout the losses of all steps are compared; with it each engine draws masks of its own, so what is
compared is the loss on the references of held-out questions, beside its spread over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from harness.plan.machine import machine
from harness.report.markdown import markdown_table
from harness.results.run import load_run

SUITE = """\
name: seeds
matrix:
  model: [{name: model, card: {source: MODEL, dtype: bfloat16, prompt: chat}}]
  adapter:
    - {name: plain, config: {r: 16, lora_alpha: 32, target_modules: all-linear}}
    - {name: dropout, config: {r: 16, lora_alpha: 32, lora_dropout: 0.05, target_modules: all-linear}}
  training: [{name: engine, options: {engine: auto}}, {name: trl, options: {engine: trl}}]
  dataset: [{name: finance-qa, train: TRAIN, test: TEST}]
  seed: [0, 1, 2, 3, 4]
training:
  max_steps: STEPS
  per_device_train_batch_size: 8
  learning_rate: 5e-4
  lr_scheduler_type: cosine
  warmup_steps: 10
  max_length: 512
generation: {max_new_tokens: TOKENS}
evaluation: {latency_prompts: 0, noise_examples: 0}
"""
FULL = {"TRAIN": "480", "TEST": "160", "STEPS": "300", "TOKENS": "96"}
TINY = {"TRAIN": "16", "TEST": "8", "STEPS": "6", "TOKENS": "4"}
METRICS = ("eval_loss", "rougeL")


def read(out: Path) -> dict[str, dict[int, dict[str, object]]]:
    """Adapter+engine → seed → scores, losses of all steps, and how the cell was trained."""
    found: dict[str, dict[int, dict[str, object]]] = {}
    for cell in load_run(out).cells:
        if cell.status != "ok":
            print("!!", cell.key, cell.status, cell.reason, flush=True)
        elif cell.adapter != "base":
            lines = (out / "cells" / cell.key / "train_log.jsonl").read_text().splitlines()
            found.setdefault(cell.adapter, {})[cell.seed] = {
                **{n: v.value for n in METRICS if (v := cell.value(n))},
                "losses": [line["loss"] for line in map(json.loads, lines) if "loss" in line],
                "how": cell.facts.get("trained", {}).get("training"),
            }
    return found


def compared(adapter: str, found: dict[str, dict[int, dict[str, object]]]) -> dict[str, object]:
    """The differences of both engines over the seeds they share, beside the spread of either."""
    ours, theirs = found[f"{adapter}+engine"], found[f"{adapter}+trl"]
    seeds = sorted(ours.keys() & theirs.keys())
    row: dict[str, object] = {"adapter": adapter, "seeds": seeds}
    for name in METRICS:
        one = [float(ours[s][name]) for s in seeds]  # type: ignore[arg-type]
        other = [float(theirs[s][name]) for s in seeds]  # type: ignore[arg-type]
        gaps = [a - b for a, b in zip(one, other, strict=True)]
        row[name] = {
            "engine": one, "trl": other, "mean_gap": statistics.fmean(gaps),
            "largest_gap": max(map(abs, gaps)), "spread_engine": statistics.stdev(one),
            "spread_trl": statistics.stdev(other),
        }  # fmt: skip
    steps = [
        abs(a - b)
        for s in seeds
        for a, b in zip(ours[s]["losses"], theirs[s]["losses"], strict=True)  # type: ignore[call-overload]
    ]
    row["losses"] = {"largest": max(steps), "mean": statistics.fmean(steps)}
    row["how"] = {"engine": ours[seeds[0]]["how"], "trl": theirs[seeds[0]]["how"]}
    return row


def page(rows: list[dict[str, object]], given: argparse.Namespace) -> str:
    """The Markdown page."""
    facts = machine()
    sizes = TINY if given.tiny else FULL
    lines = [
        "# Five seeds by both engines", "",
        f"- device: {facts.gpu or facts.cpu}",
        f"- model: {Path(given.model).name}; LoRA of rank 16 on all linear layers, bf16",
        f"- {sizes['TRAIN']} finance questions to train on, {sizes['TEST']} held out;"
        f" {sizes['STEPS']} steps of 8 rows, learning rate 5e-4",
        "- command: python tests/benchmarks/cuda_seeds.py FOLDER -o OUT", "",
    ]  # fmt: skip
    columns = (
        "dropout", "score", "engine, mean", "SFTTrainer, mean", "mean difference", "largest difference of a seed",
        "spread over seeds, engine", "spread over seeds, SFTTrainer",
    )  # fmt: skip
    table = []
    for row in rows:
        for name in METRICS:
            s = row[name]
            table.append((
                "0.05" if row["adapter"] == "dropout" else "none", name,
                f"{statistics.fmean(s['engine']):.4f}", f"{statistics.fmean(s['trl']):.4f}",
                f"{s['mean_gap']:+.5f}", f"{s['largest_gap']:.5f}", f"{s['spread_engine']:.5f}", f"{s['spread_trl']:.5f}",
            ))  # fmt: skip
    lines += [*markdown_table(columns, table), ""]
    for row in rows:
        if row["adapter"] == "plain":
            losses = row["losses"]
            lines += [
                f"Without dropout the losses of the {sizes['STEPS']} training steps are at most"
                f" {losses['largest']:.4f} apart, {losses['mean']:.5f} in the mean."
            ]  # fmt: skip
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true", help="a few rows, to try this without a GPU")
    parser.add_argument("--no-dropout", action="store_true", help="only the cells without dropout")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    text = SUITE.replace("MODEL", str(Path(given.model).resolve()))
    for word, value in (TINY if given.tiny else FULL).items():
        text = text.replace(word, value)
    if given.no_dropout:
        text = "".join(line for line in text.splitlines(True) if "name: dropout" not in line)
    suite, out = given.output / "suite.yaml", given.output / "run"
    suite.write_text(text)
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out)]
    subprocess.run(command, check=False)
    found = read(out)
    rows = [
        compared(adapter, found)
        for adapter in ("plain", "dropout")
        if {f"{adapter}+engine", f"{adapter}+trl"} <= found.keys()
    ]
    (given.output / "cuda_seeds.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = page(rows, given)
    (given.output / "cuda_seeds.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
