"""The far side of an executor: the body of a worker process, and its end of the pipe."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from harness.errors import HarnessError
from harness.extras import is_installed
from harness.plan.machine import VISIBLE, keep_gpus, listed_as
from harness.plugins import load_plugins
from harness.results.paths import CellPaths, read_json
from harness.run.executors.base import ending
from harness.run.executors.fork_server import needs_training_stack
from harness.run.executors.lifeline import follow_parent
from harness.run.executors.main_module import Program, run_again

NO_RESULT = "the cell ended without a result.json: a fault of the backend or the worker"
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "PYTHONUNBUFFERED": "1",
}


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set ``variables`` for what is started here, and put back what a notebook had before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class PipedDevice:
    """The worker's end: asks the executor over a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._exclusivity: dict[str, float] = {}

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
            self._exclusivity = self._pipe.recv()

    def paused_seconds(self, since: float) -> float:
        """Seconds this worker was stopped since ``since``."""
        self._pipe.send(("pauses", ""))
        pauses: list[tuple[float, float]] = self._pipe.recv()
        return sum(max(0.0, end - max(start, since)) for start, end in pauses)

    def exclusivity(self) -> dict[str, float]:
        """What the executor saw of the other workers while this one measured; see `Exclusivity`."""
        return self._exclusivity


def work(
    paths: CellPaths, pipe: Connection, threads: int, gpu: str | None = None,
    main: Program | None = None,
) -> None:  # fmt: skip
    """The body of a worker: libraries' output to ``cell.log``, the outcome over the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow_parent(pipe)
    pipe.send(("follows", ""))
    log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # where a hung cell hangs: see `limits`
    _say_what_was_not_preloaded()
    try:
        _script_again(main or {}, gpu, _split_over(paths))
        outcome = _outcome(paths, pipe, threads)
    except Exception as error:
        _, *outcome = ending(paths.directory.name, error)
        with suppress(OSError):  # a disk that is full has no room for the traceback either
            traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
    pipe.send(tuple(outcome))


def _script_again(main: Program, gpu: str | None, several: Sequence[str]) -> None:
    """Run ``main`` up to its run, and leave this process ``gpu``, or ``several``, and no other."""
    found = os.environ.get(VISIBLE)
    # before the script: if it asks torch for CUDA, what is visible then is so for good
    _own(gpu, several)
    with listed_as(found):
        run_again(main)
    # after it: it may have set the variable, for the run and not for one cell
    _own(gpu, several)


def _own(gpu: str | None, several: Sequence[str]) -> None:
    if gpu is not None:
        os.environ[VISIBLE] = ",".join(several) or gpu
    keep_gpus(max(1, len(several)))


def _outcome(paths: CellPaths, pipe: Connection, threads: int) -> Sequence[str]:
    """Run the cell; `done`, or `respawn` where this process cannot use CUDA."""
    from harness.run.worker import run_cell

    # what loads torch later finds it there; a process that is forked has its server's environment
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # a cell of a served model needs none: importing it would take longer than the whole cell
    if "torch" in sys.modules or (needs_training_stack(paths) and is_installed("torch")):
        import torch

        if torch.cuda._is_in_bad_fork():  # the server touched CUDA after all
            return "respawn", ""
        torch.set_num_threads(threads)
        _keep_freed_memory()
    load_plugins()
    run_cell(paths, PipedDevice(pipe))
    # without result.json the cell has not ended well, whatever was reported
    return ("done", "") if paths.result.is_file() else ("failed", NO_RESULT)


def _keep_freed_memory() -> None:
    """Spare a worker on the CPU its page faults; where a GPU computes, they are no matter."""
    import torch

    if not torch.cuda.is_available():
        from harness.backends.hf.counters.allocator import keep_freed_memory

        keep_freed_memory()


def _split_over(paths: CellPaths) -> list[str]:
    """The GPUs over which the layers of the cell's model are laid; none where they lie on one."""
    try:
        job = read_json(paths.cell)
        split = job["cell"]["model"]["requires"].get("gpus", 1) > 1
        return list(job.get("device", {}).get("ids", [])) if split else []
    except (HarnessError, LookupError, TypeError, AttributeError):
        return []  # the worker reads it again, and says what is wrong


def _say_what_was_not_preloaded() -> None:
    """Note in the log what the fork server could not import: each cell then pays for it."""
    warm = sys.modules.get("harness.run.executors.warm")  # absent in a spawned worker
    for line in getattr(warm, "MISSED", ()):
        print(f"not preloaded: {line}", flush=True)
