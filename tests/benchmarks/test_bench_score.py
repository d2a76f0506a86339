"""Scoring 10 cells × 20,000 examples again with its report, then packing them: seconds and memory.

The cells differ: each answers another share of the words right, so that no score is remembered from
another cell, and most scores are no round shares. Seconds are of the clock: cells are scored side
by side. The bar holds for two cores that do nothing else.
"""

import json
import random
import subprocess
import sys
import time

import psutil

from harness.importers.imported import Imported, write_run
from harness.plan.task import Task
from harness.results.result import Value
from harness.suite.schema import Evaluation

MAX_SECONDS = 20
MAX_MIB = 500
EXAMPLES = 20_000
CELLS = 10
WORDS = ["the", "rate", "bond", "falls", "when", "its", "price", "rises", "share", "pays", "what"]
TASK = Task("generation", "en", (), Evaluation())


def cells(source):
    rng = random.Random(0)
    references = [rng.choices(WORDS, k=rng.randint(10, 30)) for _ in range(EXAMPLES)]
    for number in range(CELLS):
        records = []
        for i, words in enumerate(references):
            answer = [rng.choice(WORDS) if rng.random() * 30 < 10 - number else w for w in words]
            asked = f"question {i}"
            records.append({
                "id": f"e{i}", "prompt": asked, "example_prompt": asked,
                "reference": " ".join(words), "prediction": " ".join(answer),
                "finish_reason": "stop", "data_hash": str(i), "prompt_hash": str(i),
                "answered_by": "generation", "category": None, "group": None, "gold": None,
                "scores": {"rougeL": 0.5},
            })  # fmt: skip
        name, seed = (f"a{number}", 0) if number else ("base", None)
        values = (Value("rougeL", 0.5, "F1", True, EXAMPLES),)
        yield Imported(
            "m", "none", name, "d", seed, "rougeL", source,
            values=values, records=records, task=TASK,
        )  # fmt: skip


def measured(*command):
    """Seconds of the clock, and the most memory that the command and its workers held at a time.

    Proportional set sizes: what forked processes share is counted once.
    """
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(0.25)
        output = process.stdout.read()
    return process.returncode, time.perf_counter() - started, peak / 2**20, output


def _held(pid):
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family)
    except psutil.Error:  # one of them has just ended
        return 0


def test_ten_cells_of_20_000_answers_are_scored_and_packed_in_20_seconds(
    tmp_path, benchmark, figure
):
    (tmp_path / "source").write_text("x")
    run = tmp_path / "run"
    write_run(run, "big", cells(tmp_path / "source"))
    harness = (sys.executable, "-m", "harness.cli")
    found = []
    score = (*harness, "score", str(run), "--json")
    benchmark.pedantic(lambda: found.append(measured(*score)), rounds=1)
    found.append(measured(*harness, "pack", str(run), "-o", str(tmp_path / "run.tar.xz")))
    (status, seconds, mib, output), (packed, pack_seconds, pack_mib, _) = found
    figure(
        f"scores of {CELLS} cells × {EXAMPLES:,} examples with their report; their pack",
        f"each ≤ {MAX_SECONDS} s, {MAX_MIB} MiB",
        f"{seconds:.1f} s, {mib:.0f} MiB; {pack_seconds:.1f} s, {pack_mib:.0f} MiB",
        max(seconds, pack_seconds) <= MAX_SECONDS and max(mib, pack_mib) <= MAX_MIB,
        seconds={"score": seconds, "pack": pack_seconds},
    )  # fmt: skip
    assert (status, packed) == (0, 0)
    assert len(json.loads(output)["cells"]) == CELLS
