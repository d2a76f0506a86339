"""Cells of a run again by hand, each in a process of its own: a profile, or a repeat.

    python tests/benchmarks/by_hand.py profile RUN CELL
    python tests/benchmarks/by_hand.py repeat RUN CELL [deterministic]

`profile` prints where the host's time goes. `repeat` prints a digest of the training log and of the
answers: two repeats with one digest are equal to the bit.
"""

import cProfile
import hashlib
import json
import pstats
import shutil
import sys
import tempfile
import time
from pathlib import Path


def main(what, run, pattern, *more):
    cell = next(path for path in sorted(Path(run, "cells").iterdir()) if pattern in path.name)
    began = time.monotonic()
    if "deterministic" in more:
        import torch

        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
    from harness.backends.base import Alone
    from harness.results.paths import CellPaths
    from harness.run.worker import run_cell

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, cell.name)
        copy.mkdir()
        shutil.copy(cell / "cell.json", copy)
        paths = CellPaths(copy)
        profile = cProfile.Profile()
        if what == "profile":
            profile.enable()
        result = run_cell(paths, Alone())
        profile.disable()
        print("by hand", cell.name, what, *more, f"{time.monotonic() - began:.2f} s")
        print(json.dumps({k: round(v, 2) for k, v in result.timings.items()}))
        print(json.dumps(result.facts.get("trained", {}).get("training")))
        if what == "profile":
            stats = pstats.Stats(profile, stream=sys.stdout)
            stats.sort_stats("cumulative").print_stats(90)
            stats.sort_stats("tottime").print_stats(45)
            return
        for path in (paths.train_log, paths.predictions):
            if path.is_file():
                rows = [json.loads(line) for line in path.read_text().splitlines()]
                kept = [
                    {k: row.get(k) for k in ("loss", "grad_norm", "prediction", "nll")}
                    for row in rows
                ]
                text = json.dumps(kept)
                print(path.name, hashlib.sha256(text.encode()).hexdigest()[:16])
                print("   losses", [row["loss"] for row in kept if row["loss"] is not None][-4:])


if __name__ == "__main__":
    main(*sys.argv[1:])
