"""Every benchmark of a CPU, and the page of their ratios: `reports/benchmarks/cpu.md`.

    python tests/benchmarks/cpu.py -o reports/benchmarks

pytest-benchmark runs the tests of this folder; each keeps its figure, bar and measured value in its
`extra_info`. This file renders them and exits with pytest's status.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.plan.machine import environment
from harness.report.markdown import markdown_table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMAND = "python tests/benchmarks/cpu.py -o reports/benchmarks"
METHOD = """\
Ratios are of two sides that are measured in turns in one run on the same machine; seconds stand
below, and depend on it. A figure that is no ratio is compared with importing torch, or is a budget.

**The grid.** `harness run` of `suites/ci.yaml` (12 cells of tiny-qwen2, three data sets, plain and
in NF4, base and LoRA) against `plain_script.py`, once for each cell, in a process of its own: it
loads the model, trains with TRL's `SFTTrainer` (labels: transformers' `Trainer`) unless it is a
baseline, answers the test prompts one at a time by `model.generate`, and scores by rouge_score
(labels: scikit-learn). Beside it stand scripts that do a baseline and its fine-tuned cell in one go.

- The same on both sides: rows, prompts, split, quantization, training arguments, seed, adapter,
  greedy decoding and its length. Equal numbers of training steps, training losses and answers are
  asserted; the share of answers that are exactly equal is listed below. A pair's baseline is
  evaluated once on each side.
- For the scripts: rows and prompts are prepared before their clock starts; they save nothing and
  measure nothing; and of one thread and torch's own number of threads they get the one that was
  faster in the first script. They run one after another.
- For the harness: everything is in its time, from the start of Python to the written reports. "By
  default" it also measures noise floors, latency in rounds and throughput, which stops its other
  worker; it computes likelihoods, more metrics and intervals, and saves and reloads the adapter.
  "With the scripts' work alone" switches off what a suite can switch off: noise floors and latency.
- The harness runs as many cells at a time as there are cores, a script one at a time. What would be
  left if scripts were spread over the cores without loss is the ratio of processor time.
- A script that answers in batches, or trains several adapters in one process, would come nearer:
  this one is what is published beside models, not the best that can be written.

**Isolation.** The same plan through `run_suite`, forked from the warm server and in this process,
in turns, after each has run every cell once; the difference of medians, for a cell.

**Load.** Quiet and loaded latencies of tiny-qwen2 take turns; the load is a process for every core that
goes through 320 MB without end. A slower model is the same one with a pause of 6 ms before each step.
"""


def page(about, lines):
    """The page: method, bars, further figures, seconds."""
    rows = [
        (x["figure"], x["bar"], x["measured"], "met" if x["met"] else "**not met**") for x in lines
    ]
    beside = [(x["figure"], k, str(v)) for x in lines for k, v in x["more"].items()]
    seconds = [(x["figure"], k, f"{v:,.3f}") for x in lines for k, v in x["seconds"].items()]
    tables = [
        *markdown_table(("figure", "bar", "measured", ""), rows), "", "## Beside them", "",
        *markdown_table(("figure", "what", "measured"), beside), "", "## Seconds", "",
        *markdown_table(("figure", "what", "seconds"), seconds),
    ]  # fmt: skip
    said = [f"- {key}: {value}" for key, value in about.items()]
    head = ["# Speed on a CPU", "", *said, "", METHOD]
    return "\n".join([*head, *tables]) + "\n"


class Measured(NamedTuple):
    """pytest's exit status and the benchmarks of one file."""

    status: int
    benchmarks: list


def measured(path, words):
    """The benchmarks of one file, by a pytest of its own: peaks of memory are over its children."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [
            sys.executable, "-m", "pytest", "--override-ini", "addopts=--import-mode=importlib",
            str(path), f"--benchmark-json={found}", *words,
        ]  # fmt: skip
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        text = found.read_text(encoding="utf-8") if found.is_file() else ""
    benchmarks = json.loads(text)["benchmarks"] if text else []
    return Measured(0 if status == pytest.ExitCode.NO_TESTS_COLLECTED else status, benchmarks)


def surroundings(load):
    """Hardware, versions and the command."""
    found = environment(ROOT)
    machine = found["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    return {
        "processor": f"{machine['cpu']}, {machine['cores']} cores, {machine['features']}",
        "memory": f"{machine['memory_gib']:.0f} GiB",
        "load before the run (a minute's mean)": f"{load:.1f}",
        "python": found["python"], "packages": packages, "command": COMMAND,
    }  # fmt: skip


def main():
    """Run pytest, write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "reports" / "benchmarks")
    parser.add_argument("words", nargs="*", help="handed on to pytest, after --")
    options = parser.parse_args()
    about = surroundings(os.getloadavg()[0])
    found = [measured(path, options.words) for path in sorted(HERE.glob("test_*.py"))]
    lines = [benchmark["extra_info"] for one in found for benchmark in one.benchmarks]
    options.output.mkdir(parents=True, exist_ok=True)
    record = json.dumps({"about": about, "figures": lines}, indent=1, ensure_ascii=False)
    (options.output / "cpu.json").write_text(f"{record}\n", encoding="utf-8")
    (options.output / "cpu.md").write_text(page(about, lines), encoding="utf-8")
    sys.exit(max(one.status for one in found))


if __name__ == "__main__":
    main()
