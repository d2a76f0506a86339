"""What `cuda_grid.py` measured, as a page.

    python tests/benchmarks/cuda_grid_report.py grid.json [again.json …] -o reports/benchmarks

The first file holds the runs and the scripts; further ones hold runs alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from harness.report.markdown import markdown_table

WAYS = {
    "alone": "the harness, one cell at a time (`--workers 1`)",
    "again": "the harness, one cell at a time (`--workers 1`)",
    "packed": "the harness, as it chooses",
}
ABOUT = """\
Six cells of SmolLM2-135M-Instruct on the shipped finance questions: bf16 and NF4, each untouched and under LoRA of
rank 8 and 32 on all linear layers; 480 training rows, two epochs in batches of 8 (120 steps), 96 questions of at
most 128 new tokens in batches of 32. Both sides train, answer, score, and measure the loss on the references, the
latency of 4 prompts and peak memory; the harness besides repeats 32 questions for its noise floor, checks its engines
on each model, and writes its report. A script (`tests/benchmarks/plain_cell.py`) is a process for a cell, one after
another, with transformers, PEFT and TRL alone. `python tests/benchmarks/cuda_grid.py FOLDER -o OUT` makes both
sides; modules were compiled before (`PYTHONPYCACHEPREFIX`), so that neither side pays for that. TRL's training
loss counts the line break after the end of an answer as well, which the harness leaves out.
"""


def page(files: list[dict]) -> str:
    """The measurements in Markdown."""
    scripts = files[0]["scripts"]
    runs = [(way, run) for file in files for way, run in file["ways"].items()]
    total = scripts["seconds"]
    rows = [("plain scripts, one after another", f"{total:.0f}", "1")]
    rows += [
        (WAYS.get(way, f"the harness, `--workers {way}`"), f"{r['seconds']:.0f}", f"{total / r['seconds']:.2f}")
        for way, r in runs
    ]  # fmt: skip
    devices = [c["device"] for _, run in runs for c in run["cells"].values()]
    name = next((device["name"] for device in devices if device), "none")
    lines = ["# A whole grid on one card", "", ABOUT, f"Device: {name}.", ""]
    lines += markdown_table(("", "seconds", "times as fast"), rows)
    lines += [
        "",
        "## Where the seconds go",
        "",
        "Of each cell, in the first run and in its script.",
        "",
    ]
    lines += markdown_table(*_parts(runs[0][1]["cells"], scripts["cells"]))
    lines += ["", "## The same work", ""]
    lines += markdown_table(*_same(runs[0][1]["cells"], scripts["cells"]))
    lines += ["", _repeats(runs), ""]
    return "\n".join(lines)


def _short(key: str) -> str:
    return " ".join(key.split("--")[1:3]).replace("none", "bf16")


def _parts(ours: dict, plain: dict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "cell", "train", "prepare", "load", "answer", "repeat", "measure", "whole, stops left out",
        "script: imports", "train", "answers", "loss", "latency", "whole",
    )  # fmt: skip
    rows = []
    for key, cell in ours.items():
        timings, parts = cell["timings"], plain[key]["parts"]
        rows.append(
            (
                _short(key),
                *(_seconds(timings, n) for n in ("train", "prepare", "load", "predict", "repeat")),
                _seconds(timings, "measure"), _seconds(timings, "total"),
                *(_seconds(parts, n) for n in ("imports", "train", "answers", "evaluation loss")),
                _seconds(parts, "latency"), f"{plain[key]['seconds']:.1f}",
            )
        )  # fmt: skip
    return columns, rows


def _seconds(timings: dict, name: str) -> str:
    return f"{timings[name]:.1f}" if name in timings else ""


def _same(ours: dict, plain: dict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "cell", "training loss, last tenth", "script", "loss on references", "script", "ROUGE-L",
        "script", "latency ms", "script", "peak MiB in training", "script",
    )  # fmt: skip
    rows = []
    for key, cell in ours.items():
        values, other = cell["values"], plain[key]
        peak = other["peaks_mib"].get("train")
        train = values.get("train_peak_vram_mib")
        rows.append(
            (
                _short(key), _last(cell["losses"]), _last(other["losses"]),
                f"{values['eval_loss']:.3f}", f"{other['eval_loss']:.3f}",
                f"{values['rougeL']:.3f}", f"{other['rougeL']:.3f}",
                f"{values['latency_p50_ms']:.0f}", f"{other['latency_ms']:.0f}",
                f"{train:.0f}" if train else "", f"{peak:.0f}" if train else "",
            )
        )  # fmt: skip
    return columns, rows


def _last(losses: list[float]) -> str:
    return f"{statistics.fmean(losses[-max(1, len(losses) // 10) :]):.3f}" if losses else ""


def _repeats(runs: list[tuple[str, dict]]) -> str:
    """Whether runs, side by side or not, gave the same losses and scores."""
    first, differing = runs[0][1]["cells"], 0
    for _, run in runs[1:]:
        for key, cell in run["cells"].items():
            same = cell["losses"] == first[key]["losses"]
            names = ("eval_loss", "rougeL")
            same &= all(cell["values"].get(n) == first[key]["values"].get(n) for n in names)
            differing += not same
    count = sum(len(run["cells"]) for _, run in runs[1:])
    return (
        f"Cells of the further runs whose losses of all steps, loss on the references or ROUGE-L are not equal to"
        f" the first run's to the last digit: {differing} of {count}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    given = parser.parse_args()
    files = [json.loads(path.read_text()) for path in given.paths]
    (given.output / "cuda_grid.md").write_text(page(files))
    (given.output / "cuda_grid.json").write_text(json.dumps(_without_texts(files)) + "\n")


def _without_texts(files: list[dict]) -> list[dict]:
    for file in files:
        for cell in (file["scripts"] or {"cells": {}})["cells"].values():
            cell.pop("answers", None)
    return files


if __name__ == "__main__":
    main()
