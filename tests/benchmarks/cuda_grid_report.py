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
rank 8 and 32 on all linear layers; 480 training rows, two epochs in batches of 8 (120 steps), {test} questions of at
most 128 new tokens in batches of 32. Both sides train, answer, score, and measure the loss on the references, the
latency of {prompts} prompts and peak memory; the harness besides repeats 32 questions for its noise floor, checks its engines
on each model, and writes its report. A script (`tests/benchmarks/plain_cell.py`) is a process for a cell, one after
another, with transformers, PEFT and TRL alone. `python tests/benchmarks/cuda_grid.py FOLDER -o OUT` makes both
sides. TRL's training loss counts the line break after the end of an answer as well, which the harness leaves out.
"""


def page(files: list[dict]) -> str:
    """The measurements in Markdown; a ratio only where every cell of both sides is there."""
    first, scripts = files[0], files[0]["scripts"]
    runs = [(way, run) for file in files for way, run in file["ways"].items()]
    done = list(scripts["cells"].values())
    count = len(runs[0][1]["cells"])
    total = sum(one["seconds"] for one in done)
    rows = [("plain scripts, one after another", f"{total:.0f}", f"{len(done)} of {count}", "")]
    for way, run in runs:
        ok = sum(cell["status"] == "ok" for cell in run["cells"].values())
        name = WAYS.get(way, f"the harness, `--workers {way}`")
        ratio = f"{total / run['seconds']:.2f}" if ok == count == len(done) else ""
        rows.append((name, f"{run['seconds']:.0f}", f"{ok} of {count}", ratio))
    devices = [c["device"] for _, run in runs for c in run["cells"].values()]
    name = next((device["name"] for device in devices if device), "none")
    lines = [
        "# A whole grid on one card",
        "",
        ABOUT.format(**first["sizes"]),
        f"Device: {name}.",
        "",
    ]
    lines += markdown_table(("", "seconds", "cells that ended", "times as fast"), rows)
    lines += ["", first["note"]] if first.get("note") else []
    lines += ["", "## Where the seconds go", "", "Of each cell, in seconds.", ""]
    lines += markdown_table(*_parts(runs, scripts["cells"]))
    if any("eval_loss" in one for one in done):
        lines += ["", "## The same work", ""]
        lines += markdown_table(*_same(runs[0][1]["cells"], scripts["cells"]))
    lines += ["", _repeats(runs), ""]
    return "\n".join(lines)


def _short(key: str) -> str:
    return " ".join(key.split("--")[1:3]).replace("none", "bf16")


def _parts(
    runs: list[tuple[str, dict]], plain: dict
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "cell",
        "by",
        "imports",
        "prepare",
        "train",
        "load",
        "answer",
        "measure",
        "whole",
    )
    rows = []
    for way, run in runs:
        for key, cell in run["cells"].items():
            if cell["status"] != "ok":
                continue
            timings = cell["timings"]
            names = ("prepare", "train", "load", "predict", "measure", "total")
            rows.append((_short(key), way, "", *(_seconds(timings, name) for name in names)))
    for key, one in plain.items():
        parts = {**one["parts"]}
        parts["measure"] = parts.get("latency", 0.0) + parts.get("evaluation loss", 0.0)
        parts["whole"] = one["seconds"]
        names = ("imports", "none", "train", "load", "answers", "measure", "whole")
        rows.append((_short(key), "script", *(_seconds(parts, name) for name in names)))
    return columns, sorted(rows, key=lambda row: row[0])  # fmt: skip


def _seconds(timings: dict, name: str) -> str:
    return f"{timings[name]:.1f}" if name in timings else ""


def _same(ours: dict, plain: dict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "cell", "training loss, last tenth", "script", "loss on references", "script", "ROUGE-L",
        "script", "latency ms", "script", "peak MiB in training", "script",
    )  # fmt: skip
    rows = []
    for key, cell in ours.items():
        values, other = cell["values"], plain.get(key, {})
        if "eval_loss" not in other or cell["status"] != "ok":
            continue
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
    first, differing, count = runs[0][1]["cells"], 0, 0
    for _, run in runs[1:]:
        for key, cell in run["cells"].items():
            if "ok" not in (cell["status"], first[key]["status"]):
                continue
            count += 1
            same = cell["losses"] == first[key]["losses"]
            names = ("eval_loss", "rougeL")
            same &= all(cell["values"].get(n) == first[key]["values"].get(n) for n in names)
            differing += not same
    return (
        "Cells of the further runs whose losses of all steps, loss on the references or ROUGE-L are not equal to"
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
