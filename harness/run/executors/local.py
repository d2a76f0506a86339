"""Workers on this machine: each cell in a fresh process forked from a warm server.

The server has imported torch, transformers, peft and trl, so a cell does not pay for imports;
it never touches CUDA. While one worker measures, the others are stopped (SIGSTOP), so that a
latency has the device to itself; the seconds they stood still are taken off their timings.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.results.paths import CellPaths
from harness.run.executors.base import Event
from harness.run.executors.child import QUIET, work

PRELOAD = ["harness.run.executors.warm"]


@dataclass
class _Worker:
    key: str
    paths: CellPaths
    process: Any
    pipe: Connection
    pauses: list[tuple[float, float]] = field(default_factory=list)
    stopped_at: float | None = None
    respawned: bool = False
    """Whether its job went back to the queue, for a process that is not forked."""


class LocalExecutor:
    """Runs cells in up to ``workers`` processes of ``threads`` threads each."""

    def __init__(self, workers: int, threads: int) -> None:
        self._workers = workers
        self._threads = threads
        self._context: Any = None
        self._queue: deque[tuple[str, CellPaths]] = deque()
        self._active: dict[Connection, _Worker] = {}
        self._measuring: _Worker | None = None
        self._waiting: deque[_Worker] = deque()

    def run(self, jobs: list[tuple[str, CellPaths]]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen; every job ends in `done` or `failed`."""
        os.environ.update({**QUIET, "OMP_NUM_THREADS": str(self._threads)})
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._queue = deque(jobs)
        try:
            while self._queue or self._active:
                while self._queue and len(self._active) < self._workers:
                    self._start(*self._queue.popleft())
                for pipe in wait(list(self._active)):
                    yield from self._hear(self._active[pipe])  # type: ignore[index]
        finally:
            self._end_all()

    def _start(self, key: str, paths: CellPaths) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(paths, theirs, self._threads), name=key)
        process.start()
        theirs.close()
        worker = _Worker(key, paths, process, ours)
        self._active[ours] = worker
        if self._measuring:
            self._stop(worker)

    def _hear(self, worker: _Worker) -> Iterator[Event]:
        try:
            kind, text = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._ended(worker)
            return
        if kind == "exclusive":
            self._waiting.append(worker)
            self._grant()
        elif kind == "release":
            self._release()
        elif kind == "respawn":
            self._queue.appendleft((worker.key, worker.paths))
            self._context = multiprocessing.get_context("spawn")
            worker.respawned = True
        elif kind == "pauses":
            worker.pipe.send(worker.pauses)
        else:
            yield Event(worker.key, kind, text)

    def _ended(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join()
        del self._active[worker.pipe]
        if worker in self._waiting:
            self._waiting.remove(worker)
        if self._measuring is worker:
            self._release()
        code = worker.process.exitcode
        if worker.respawned:
            return
        if code == 0:
            yield Event(worker.key, "done", "")
        else:
            died = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            yield Event(worker.key, "failed", died)

    def _grant(self) -> None:
        """Give the device to the next that waits; stop everyone else."""
        if self._measuring or not self._waiting:
            return
        chosen = self._waiting.popleft()
        self._measuring = chosen
        self._resume(chosen)
        for worker in self._active.values():
            if worker is not chosen:
                self._stop(worker)
        with suppress(OSError):
            chosen.pipe.send("go")

    def _release(self) -> None:
        self._measuring = None
        self._grant()
        if self._measuring is None:
            for worker in self._active.values():
                self._resume(worker)

    def _stop(self, worker: _Worker) -> None:
        if worker.stopped_at is None and worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGSTOP)
            worker.stopped_at = time.monotonic()

    def _resume(self, worker: _Worker) -> None:
        if worker.stopped_at is not None:
            worker.pauses.append((worker.stopped_at, time.monotonic()))
            worker.stopped_at = None
            with suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGCONT)

    def _end_all(self) -> None:
        for worker in self._active.values():
            self._resume(worker)
            worker.process.terminate()
        for worker in self._active.values():
            worker.process.join(5)
        self._active.clear()
