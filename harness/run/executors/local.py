"""Workers on this machine: each cell in a fresh process forked from a warm server.

The server has imported torch, transformers, peft and trl, so a cell does not pay for imports;
it never touches CUDA. While one worker measures, the others are stopped (SIGSTOP), so that a
latency has the device to itself; the seconds they stood still are taken off their timings. That
they were stopped is checked before, and that they stayed so after: the result says both.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.plan.machine import Machine, machine
from harness.results.paths import CellPaths
from harness.run.executors import stopping
from harness.run.executors.base import Event, Job
from harness.run.executors.child import QUIET, work

PRELOAD = ["harness.run.executors.warm"]
DRAIN_SECONDS = 1.0
"""Seconds to let a GPU finish what a worker had queued before it was stopped.

A stopped process launches nothing more, but some hundred launched kernels may still be waiting.
"""


@dataclass(frozen=True)
class Exclusivity:
    """How alone a worker was while it measured."""

    stopped: int = 0
    """Other workers, all of them stopped before the first clock was read."""
    running: int = 0
    """Other workers that did not stop in time."""
    others_cpu_seconds: float = 0.0
    """Processor seconds that the others used in between; the clock's tick is 0.01 s."""


@dataclass
class _Worker:
    key: str
    paths: CellPaths
    process: Any
    pipe: Connection
    outcome: tuple[str, str] | None = None
    """The end that it reported; passed on once the process has exited, so each cell ends once."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    stopped_at: float | None = None


class LocalExecutor:
    """Runs cells in up to ``workers`` processes of ``threads`` threads each.

    By default one on a GPU, else one for each core; the threads share the cores.
    """

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        here = machine()
        self._workers = workers or (1 if here.gpu else here.cores)
        self._threads = threads or max(1, here.cores // self._workers)
        self._context: Any = None
        self._queue: deque[Job] = deque()
        self._active: dict[Connection, _Worker] = {}
        self._measuring: _Worker | None = None
        self._exclusivity = Exclusivity()
        self._waiting: deque[_Worker] = deque()

    def machine(self) -> Machine:
        """This machine."""
        return machine()

    def at_once(self) -> int:
        """The number of workers."""
        return self._workers

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen; each ends once, when its process has ended."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._queue = deque(jobs)
        try:
            while self._queue or self._active:
                # a worker that starts now would cost the measuring one processor time: the fork
                # of a server that holds gigabytes, and its own first steps
                while self._queue and len(self._active) < self._workers and not self._measuring:
                    self._start(*self._queue.popleft())
                for pipe in wait(list(self._active)):
                    yield from self._hear(self._active[pipe])  # type: ignore[index]
        finally:
            self._end_all()

    def _start(self, key: str, paths: CellPaths) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(paths, theirs, self._threads), name=key)
        with _environment({**QUIET, "OMP_NUM_THREADS": str(self._threads)}):
            process.start()
        theirs.close()
        self._active[ours] = _Worker(key, paths, process, ours)

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
            worker.pipe.send(asdict(self._seen()))
            self._release()
        elif kind == "pauses":
            worker.pipe.send(worker.pauses)
        elif kind == "stage":
            yield Event(worker.key, "stage", text)
        else:
            worker.outcome = (kind, text)

    def _ended(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join()
        del self._active[worker.pipe]
        if worker in self._waiting:
            self._waiting.remove(worker)
        if self._measuring is worker:
            self._release()
        match worker.outcome:
            case ("respawn", _):  # a forked process cannot use CUDA here: start fresh ones
                self._context = multiprocessing.get_context("spawn")
                self._queue.appendleft((worker.key, worker.paths))
            case ("done" | "failed" | "skipped" as kind, reason):
                yield Event(worker.key, kind, reason)
            case _:  # it died, or a library called `exit`: whatever the code, there is no result
                code = worker.process.exitcode
                died = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
                yield Event(worker.key, "failed", f"the worker died: {died}")

    def _grant(self) -> None:
        """Give the device to the next that waits, once everyone else is stopped."""
        if self._measuring or not self._waiting:
            return
        chosen = self._waiting.popleft()
        self._measuring = chosen
        self._resume(chosen)
        others = [worker for worker in self._active.values() if worker is not chosen]
        self._exclusivity = self._stop(others)
        with suppress(OSError):
            chosen.pipe.send("go")

    def _seen(self) -> Exclusivity:
        """How alone the measuring worker was until now."""
        others = [w.process.pid for w in self._active.values() if w is not self._measuring]
        used = stopping.cpu_seconds(others) - self._exclusivity.others_cpu_seconds
        return replace(self._exclusivity, others_cpu_seconds=round(max(0.0, used), 3))

    def _release(self) -> None:
        self._measuring = None
        if self._waiting:
            self._grant()
            return
        for worker in self._active.values():
            self._resume(worker)

    def _stop(self, workers: Sequence[_Worker]) -> Exclusivity:
        """Stop ``workers`` and wait until they are; their processor seconds until then."""
        now = time.monotonic()
        for worker in workers:
            worker.stopped_at = worker.stopped_at or now
        pids = [worker.process.pid for worker in workers]
        stopped = stopping.stop(pids)
        if pids and machine().gpu:
            time.sleep(DRAIN_SECONDS)
        running = 0 if stopped else sum(not stopping.is_stopped(pid) for pid in pids) or 1
        return Exclusivity(len(pids) - running, running, stopping.cpu_seconds(pids))

    def _resume(self, worker: _Worker) -> None:
        if worker.stopped_at is not None:
            worker.pauses.append((worker.stopped_at, time.monotonic()))
            worker.stopped_at = None
            stopping.resume([worker.process.pid])

    def _end_all(self) -> None:
        for worker in self._active.values():
            self._resume(worker)
            worker.process.terminate()
        for worker in self._active.values():
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
        self._active.clear()
        self._waiting.clear()
        self._measuring = None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
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
