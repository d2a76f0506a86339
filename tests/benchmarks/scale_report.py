"""A run of a hundred thousand cells without running them, and what its report takes.

The cells of a few seeds are run by the testing backend; every other seed gets the result of one of
them under its own key. Tables beside the results are linked, not copied, so that this fits a disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import harness
from harness.plan.decision import Decision
from harness.plan.machine import environment, machine
from harness.plan.plan import Plan, write_plan
from harness.results.paths import CellPaths, read_json
from harness.run.runner import run_here

SEEDS = 3
"""Seeds that are run."""
REPORT = """
import json, resource, sys, time, harness
began = time.monotonic()
harness.report(sys.argv[1])
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime,
                  "peak_mib": used.ru_maxrss / 1024}))
"""


def reported(suite: Path, few: Path, keep: Path) -> dict[str, object]:
    """Seconds, peak memory and page of the report on a run of ``suite``, in a process of its own.

    Args:
        suite: A suite that has many seeds, and nothing else of which there are many.
        few: The same with `SEEDS` seeds.
        keep: Where the run is made, and found if it is there already.
    """
    if not keep.exists():
        plan = harness.plan(suite, output=keep, backend="testing")
        synthesise(plan, harness.plan(few, output=few.parent / "few", backend="testing"))
    words = [sys.executable, "-c", REPORT, str(keep)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    page = (keep / "leaderboard.html").stat().st_size / 2**20
    return {**json.loads(done.stdout.splitlines()[-1]), "page_mib": page}


def synthesise(plan: Plan, few: Plan) -> None:
    """Run ``few``, and write the run of ``plan`` from its results."""
    run_here(few)
    templates = {(d.cell.adapter, d.cell.seed): few.run.cell(d.key) for d in few.decisions}
    results = {key: read_json(paths.result) for key, paths in templates.items()}
    write_plan(plan, environment(plan.path.parent, machine()))
    for decision in plan.decisions:
        seed = decision.cell.seed
        key = decision.cell.adapter, None if seed is None else seed % SEEDS
        _write(plan, decision, templates[key], results[key])


def _write(plan: Plan, decision: Decision, template: CellPaths, result: dict) -> None:
    paths = plan.run.cell(decision.key)
    unlinked = shutil.ignore_patterns(paths.cell.name, paths.result.name)
    shutil.copytree(template.directory, paths.directory, ignore=unlinked, copy_function=os.link)
    own = {"key": decision.key, "seed": decision.cell.seed, "fingerprint": decision.fingerprint}
    paths.result.write_text(json.dumps({**result, **own}))
