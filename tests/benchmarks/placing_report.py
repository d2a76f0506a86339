"""What `cuda_placing.py` measured, as a record of `scale.json` and a section of `scale.md`.

    python tests/benchmarks/placing_report.py placing-*.json -o reports/benchmarks/scale.json

Ways that ran in calls of their own are compared by digests of each cell's answers and scores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ORDER = ("one", "packed", "two", "two-packed")
WORDS = {
    "one": "one GPU, one cell at a time",
    "packed": "one GPU, cells side by side",
    "two": "two GPUs, one cell on each",
    "two-packed": "two GPUs, cells side by side",
}
COLUMNS = ("what", "seconds", "times as fast", "cells", "cells with other answers or scores", "GPU")


def joined(paths: list[Path]) -> dict[str, object]:
    """The record of the files in ``paths``, which belong together."""
    parts = [json.loads(path.read_text()) for path in paths]
    ways = {name: way for part in parts for name, way in part["ways"].items()}
    first = ways["one"]["digests"]
    kept = {}
    for name in ORDER:
        if way := ways.get(name):
            other = [key for key, value in way["digests"].items() if first.get(key) != value]
            kept[name] = {
                "seconds": way["seconds"], "cells": way["cells"], "differ": other,
                "devices": way["devices"], "latency": way["latency"],
            }  # fmt: skip
    about = {"gpus": parts[0]["gpus"][:1], "rows": parts[0]["rows"]}
    return {"what": "placing", **about, "ways": kept}


def section(found: list[dict]) -> list[str]:
    """The section of `scale.md`; nothing where nothing was measured."""
    records = [one for one in found if one["what"] == "placing"]
    if not records:
        return []
    lines = [
        "",
        "## Several GPUs, several cells on one",
        "",
        "SmolLM2-135M-Instruct in bf16, LoRA of four ranks on two data sets, three seeds, and the untouched model;",
        "trained, asked and scored for real by `python tests/benchmarks/cuda_placing.py`. Seconds are of the whole",
        "command, start and report included. Latency, which has a GPU to itself, is not in these runs.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' --- |' * len(COLUMNS)}",
    ]  # fmt: skip
    for record in records:
        one = record["ways"]["one"]["seconds"]
        for name, way in record["ways"].items():
            ratio = f"{one / way['seconds']:.2f}"
            lines.append(
                f"| {WORDS[name]} | {way['seconds']:.0f} | {ratio} | {way['cells']} |"
                f" {len(way['differ'])} | {(record['gpus'] or ['none'])[0]} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="scale.json")
    given = parser.parse_args()
    before = json.loads(given.output.read_text())
    kept = [one for one in before if one["what"] != "placing"]
    found = [*kept, joined(given.paths)]
    given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
