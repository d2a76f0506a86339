"""One process of a training over several devices: ``python -m harness.backends.hf.training.rank``.

`spread` starts one for each device, with the variables that `torchrun` sets, so that accelerate
and the trainers find each other as they do there. Rank 0 writes the adapter and what was measured;
the others write nothing but why they failed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from harness.parent_death import end_with_parent

SPEC, OUTCOME, STEPS = "spec.json", "outcome.json", "steps.jsonl"
"""Files in the folder of a training: what to train, what came of it, the log while it grows."""


def failure_file(folder: Path, rank: int) -> Path:
    """Where the process ``rank`` says why it failed."""
    return folder / f"failed-{rank}.json"


def main(folder: Path) -> None:
    """Train this process's part of what the spec in ``folder`` says."""
    _end_with_worker()
    rank = int(os.environ["RANK"])
    # after that, for importing the libraries takes seconds in which the worker may end
    from harness.plugins import load_plugins
    from harness.results.paths import write_json

    try:
        load_plugins()
        from harness.backends.hf.training.rank_work import train_part

        train_part(folder, rank)
    except Exception as error:
        import traceback

        traceback.print_exc()
        said = {"kind": type(error).__name__, "text": str(error), "at": time.monotonic()}
        write_json(failure_file(folder, rank), said)
        # not `sys.exit`: a process group of which a member is gone may hang while it is taken down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _end_with_worker() -> None:
    """Make this process end when the worker does, also if that is killed, or this one is stopped.

    The kernel does it on Linux. Elsewhere the standard input closes, which a stopped process does
    not see before it goes on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run ends us
    end_with_parent()
    threading.Thread(target=_wait_for_end, daemon=True, name="lifeline").start()


def _wait_for_end() -> None:
    # nothing is ever written there: the read returns when the worker is gone, also if it went
    # before the kernel was asked for its signal
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
