"""The far side of an executor: the body of a worker process, and its end of the pipe."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from harness.plan.machine import keep_one_gpu
from harness.results.paths import CellPaths

QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "PYTHONUNBUFFERED": "1",
}


class PipedDevice:
    """The worker's end: asks the executor over a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def stage(self, name: str) -> None:
        """Tell the executor the stage."""
        self._pipe.send(("stage", name))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait until every other worker is stopped; let them go on at the end."""
        self._pipe.send(("exclusive", ""))
        self._pipe.recv()
        try:
            yield
        finally:
            self._pipe.send(("release", ""))

    def paused_seconds(self, since: float) -> float:
        """Seconds this worker was stopped since ``since``."""
        self._pipe.send(("pauses", ""))
        pauses: list[tuple[float, float]] = self._pipe.recv()
        return sum(max(0.0, end - max(start, since)) for start, end in pauses)


def work(paths: CellPaths, pipe: Connection, threads: int) -> None:
    """The body of a worker: libraries' output to ``cell.log``, the outcome over the pipe."""
    import sys
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    keep_one_gpu()
    try:
        import torch

        from harness.run.worker import run_cell

        if torch.cuda._is_in_bad_fork():  # the server touched CUDA after all
            pipe.send(("respawn", ""))
            return
        torch.set_num_threads(threads)
        run_cell(paths, PipedDevice(pipe))
    except Exception as error:
        traceback.print_exc()
        from harness.errors import SkipCell

        kind = "skipped" if isinstance(error, SkipCell) else "failed"
        name = "" if isinstance(error, SkipCell) else f"{type(error).__name__}: "
        pipe.send((kind, f"{name}{error}".strip()))
        sys.stdout.flush()
        sys.exit(3)
