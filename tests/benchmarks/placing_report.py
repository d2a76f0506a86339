"""What `cuda_placing.py` measured, as a record of `scale.json` and a section of `scale.md`.

    python tests/benchmarks/placing_report.py placing-*.json -o reports/benchmarks/scale.json

Ways that ran in calls of their own are compared by digests of each cell's answers and scores.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

ORDER = ("one", "packed", "two", "two-packed")
WORDS = {
    "one": "one GPU, one cell at a time",
    "packed": "one GPU, cells side by side",
    "two": "two GPUs, one cell on each",
    "two-packed": "two GPUs, cells side by side",
}
ENDED = re.compile(r"^\[(\d+)/\d+\] .*\((\d+):(\d\d) elapsed", re.MULTILINE)
COLUMNS = ("what", "seconds", "times as fast", "cells", "cells with other answers or scores", "GPU")


def _cut(one: Path, two: Path) -> dict[str, int]:
    """How far two GPUs came before they were stopped, and when one GPU was there."""
    found = [
        {int(n): 60 * int(m) + int(s) for n, m, s in ENDED.findall(p.read_text())}
        for p in (one, two)
    ]
    last = max(found[1])
    return {"cells": last, "one": found[0][last], "two": found[1][last]}


def joined(paths: list[Path], cut: tuple[Path, Path] | None = None) -> dict[str, object]:
    """The record of the files in ``paths``, which belong together.

    Args:
        paths: What `cuda_placing.py` wrote.
        cut: The output of one GPU, and of two that were stopped before their end.
    """
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
    if cut is not None:
        kept |= {"cut": _cut(*cut)}
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
        f"command, start and report included; {records[0]['rows']} training rows a cell. Latency, which has a GPU to itself,",
        "is not in these runs.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' --- |' * len(COLUMNS)}",
    ]  # fmt: skip
    for record in records:
        one = record["ways"]["one"]["seconds"]
        for name, way in record["ways"].items():
            if name == "cut":
                continue
            ratio = f"{one / way['seconds']:.2f}"
            lines.append(
                f"| {WORDS[name]} | {way['seconds']:.0f} | {ratio} | {way['cells']} |"
                f" {len(way['differ'])} | {(record['gpus'] or ['none'])[0]} |"
            )
        if cut := record["ways"].get("cut"):
            lines += [
                "",
                f"Two GPUs with one cell on each were stopped by mistake after {cut['cells']} cells: they took"
                f" {cut['two']} s to there, one GPU",
                f"{cut['one']} s: {cut['one'] / cut['two']:.2f} times.",
            ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="scale.json")
    parser.add_argument("--cut", type=Path, nargs=2, help="output of one GPU, and of two")
    given = parser.parse_args()
    before = json.loads(given.output.read_text())
    kept = [one for one in before if one["what"] != "placing"]
    found = [*kept, joined(given.paths, given.cut)]
    given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
