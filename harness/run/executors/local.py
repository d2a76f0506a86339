"""Workers on this machine: each cell in a fresh process forked from a warm fork server.

The server has imported torch, transformers, peft and trl, so a cell does not pay for imports;
it never touches CUDA. While one worker measures, the others are stopped (SIGSTOP), so that a
latency has the device to itself; the seconds they stood still are taken off their timings. That
they were stopped is checked before, and that they stayed so after: the result says both.

With several GPUs each worker gets one of them, and only the workers of its own GPU stop.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.plan.machine import Machine, Site, gpus, machine
from harness.results.paths import CellPaths
from harness.run.executors import lifeline, stopping
from harness.run.executors.base import Event, Job
from harness.run.executors.cards import NO_ROOM, Cards, Group, chosen_gpus, most_alike
from harness.run.executors.child import QUIET, environment, work
from harness.run.executors.fork_server import fork_server_for
from harness.run.executors.limits import Limits, Watch, end_all, end_with_trace
from harness.run.executors.local_worker import (
    Exclusivity,
    Worker,
    await_following,
    living,
    longest_wait,
    not_started,
)
from harness.run.executors.lost import died, is_worth_retrying, prepare_next
from harness.run.executors.main_module import end_if_run_again, hidden_program, program
from harness.run.executors.oom import oom_kills

DRAIN_SECONDS = 1.0
"""Seconds to let a GPU finish what a worker had queued before it was stopped.

A stopped process launches nothing more, but some hundred launched kernels may still be waiting.
"""


class LocalExecutor:
    """Runs cells in up to ``workers`` processes of ``threads`` threads each.

    By default as many on a GPU as its memory surely holds, else one for each core; the threads
    share the cores.

    Args:
        workers: Cells at a time.
        threads: Threads of each.
        devices: Numbers of the GPUs to use, as `nvidia-smi` counts; default: all.
        limits: How long a cell may take, and how often a lost one is tried again.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int | None = None,
        *,
        devices: Sequence[int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        here = machine()
        self._gpus = chosen_gpus(gpus() if here.gpu else (), devices)
        self._cards = Cards(here, self._gpus, workers)
        self._threads = threads or max(1, here.cores // self._cards.at_once)
        self._context: Any = None
        self._queue: deque[Job] = deque()
        self._active: dict[Connection, Worker] = {}
        self._exclusivity: dict[str, Exclusivity] = {}
        self._alone: set[str] = set()
        self._limits = limits or Limits()
        self._lost: Counter[str] = Counter()
        self._failed_starts = 0

    def machine(self) -> Machine:
        """This machine, with the smallest of the GPUs in use."""
        if not self._gpus:
            return machine()
        least = min(self._gpus, key=lambda gpu: gpu.memory_gib)
        return replace(machine(), gpu=self._gpus[0].name, gpu_memory_gib=least.memory_gib)

    def site(self) -> Site:
        """This machine, with each kind of GPU in use."""
        here = machine()
        kinds = dict.fromkeys((gpu.name, gpu.memory_gib) for gpu in self._gpus)
        found = [replace(here, gpu=name, gpu_memory_gib=memory) for name, memory in kinds]
        return Site(tuple(found) or (here,), gpus=most_alike(self._gpus))

    def at_once(self) -> int:
        """The number of workers; on GPUs the most there can be, for cells that need little."""
        return self._cards.at_once

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen; each ends once, when its process has ended."""
        end_if_run_again()
        self._context = fork_server_for(jobs)
        self._folder = lifeline.own_folder()
        self._queue = deque(jobs)
        try:
            while self._queue or self._active:
                while self._queue and self._start(*self._queue[0]):
                    self._queue.popleft()
                yield from self._listen()
                self._end_hung()
        finally:
            self._end_all()

    def _start(self, key: str, paths: CellPaths) -> bool:
        """Start the cell ``key`` if there is room for it now."""
        card = self._cards.place(key, paths, alone=key in self._alone)
        if card is None:
            return False
        ours, theirs = self._context.Pipe()
        gpu = card.gpu.id if card.gpu else None
        process = self._context.Process(
            target=work, args=(paths, theirs, self._threads, gpu, program()), name=key
        )
        here = {"OMP_NUM_THREADS": str(self._threads), lifeline.FOLDER: self._folder}
        had = paths.result.is_file()
        try:
            with lifeline.held_interrupt(), hidden_program(), environment({**QUIET, **here}):
                process.start()
        except (EOFError, OSError) as error:
            self._cards.leave(card, key, paths)
            if not self._active:  # else there may be room when one of them ends
                self._failed_starts = not_started(self._failed_starts + 1, error)
            return False
        finally:
            theirs.close()
        self._failed_starts = 0
        worker = Worker(key, paths, process, ours, card, oom_before=oom_kills(), had_result=had)
        worker.watch = Watch(process.pid, may_wait=longest_wait(paths))
        self._active[ours] = worker
        together = [worker for worker in self._active.values() if worker.card is card]
        for worker in together if len(together) > 1 else ():
            worker.shared = True
        return True

    def _listen(self) -> Iterator[Event]:
        """Hear one message of each worker that has said something."""
        for pipe in wait(list(self._active), self._limits.look):
            worker = self._active[pipe]  # type: ignore[index]
            # stopping it for the worker before it in this loop may have read its only message; it
            # says no more until that one has measured, which nobody would hear of meanwhile
            if worker.pipe.poll():
                yield from self._hear(worker)

    def _hear(self, worker: Worker) -> Iterator[Event]:
        try:
            kind, text = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._ended(worker)
            return
        if kind == "exclusive":
            worker.card.group.waiting.append(worker)
            self._grant(worker.card.group)
        elif kind == "release":
            _answer(worker, asdict(self._seen(worker)))
            self._release(worker.card.group)
        elif kind == "pauses":
            _answer(worker, worker.pauses)
        elif kind == "follows":
            worker.follows = True
        elif kind == "stage":
            yield Event(worker.key, "stage", text)
        else:
            worker.outcome = (kind, text)

    def _ended(self, worker: Worker) -> Iterator[Event]:
        worker.process.join()
        del self._active[worker.pipe]
        group = worker.card.group
        if worker in group.waiting:
            group.waiting.remove(worker)
        if group.measuring is worker:
            self._release(group)
        self._cards.leave(worker.card, worker.key, worker.paths)
        match worker.end:
            case ("failed", reason) if worker.shared and any(text in reason for text in NO_ROOM):
                # the cells beside it took the room that it would have had
                self._alone.add(worker.key)
                self._queue.appendleft((worker.key, worker.paths))
                yield Event(worker.key, "stage", "again, alone on its card")
            case ("respawn", _):  # a forked process cannot use CUDA here: start fresh ones
                self._context = multiprocessing.get_context("spawn")
                self._queue.appendleft((worker.key, worker.paths))
            case ("done" | "skipped" as kind, reason):
                yield Event(worker.key, kind, reason)
            case ("failed", reason):
                yield self._failed(worker, reason)
            case _:  # it died, or a library called `exit`: whatever the code, there is no result
                reason = died(worker.process.exitcode, oom_before=worker.oom_before)
                yield self._failed(worker, reason)

    def _failed(self, worker: Worker, reason: str) -> Event:
        """The end of the cell, or its next attempt where that may help."""
        if not is_worth_retrying(reason) or self._lost[worker.key] >= self._limits.retry:
            return Event(worker.key, "failed", reason)
        self._lost[worker.key] += 1
        prepare_next(worker.paths, reason)
        self._queue.appendleft((worker.key, worker.paths))
        attempt = f"again, {self._lost[worker.key]} of {self._limits.retry}"
        return Event(worker.key, "stage", f"{attempt}: {reason.splitlines()[0]}")

    def _end_hung(self) -> None:
        """End workers that are over their time or do nothing; they are heard of like any other."""
        for worker in self._active.values():
            waits = worker.stopped_at is not None or worker in worker.card.group.waiting
            if worker.pipe.poll() or worker.given_up:
                continue  # what it has said may be its end: that is heard first
            reason = worker.watch.look(self._limits, free=not waits)
            if worker.outcome is None and reason:
                worker.given_up = reason
                for pid in living([worker]):
                    end_with_trace(pid)

    def _members(self, group: Group) -> list[Worker]:
        return [worker for worker in self._active.values() if worker.card.group is group]

    def _grant(self, group: Group, after: Worker | None = None) -> None:
        """Give the device to the next that waits, once everyone else is stopped.

        ``after`` is the worker that measured until now: the device has done its work.
        """
        if group.measuring or not group.waiting:
            return
        chosen: Worker = group.waiting.popleft()
        group.measuring = chosen
        self._resume(chosen)
        others = [worker for worker in self._members(group) if worker is not chosen]
        self._exclusivity[chosen.key] = self._stop(others, idle=after)
        _answer(chosen, "go")

    def _seen(self, measuring: Worker) -> Exclusivity:
        """How alone the measuring worker was until now."""
        group = measuring.card.group
        others = [w for w in self._members(group) if w is not measuring]
        before = self._exclusivity.pop(measuring.key)
        used = stopping.cpu_seconds(living(others)) - before.others_cpu_seconds
        return replace(
            before,
            others_cpu_seconds=round(max(0.0, used), 3),
            elsewhere=len(self._active) - 1 - len(others),
        )

    def _release(self, group: Group) -> None:
        measured, group.measuring = group.measuring, None
        if group.waiting:
            self._grant(group, after=measured)
            return
        for worker in self._members(group):
            self._resume(worker)

    def _stop(self, workers: Sequence[Worker], *, idle: Worker | None = None) -> Exclusivity:
        """Stop ``workers`` and wait until they are; their processor seconds until then.

        Of those that are stopped already, and of the one that is ``idle``, nothing is left that a
        GPU would have to finish.
        """
        for worker in workers:
            await_following(worker)
        busy = any(worker.stopped_at is None and worker is not idle for worker in workers)
        now = time.monotonic()
        for worker in workers:
            worker.stopped_at = worker.stopped_at or now
        pids = living(workers)
        stopped = stopping.stop(pids)
        if busy and machine().gpu:
            time.sleep(DRAIN_SECONDS)
        running = 0 if stopped else sum(not stopping.is_stopped(pid) for pid in pids) or 1
        return Exclusivity(len(pids) - running, running, stopping.cpu_seconds(pids))

    def _resume(self, worker: Worker) -> None:
        if worker.stopped_at is not None:
            worker.pauses.append((worker.stopped_at, time.monotonic()))
            worker.stopped_at = None
            stopping.resume(living([worker]))

    def _end_all(self) -> None:
        """Kill what still runs. All that it had finished is on the disk; the rest is done again."""
        with lifeline.held_interrupt():
            end_all(living(self._active.values()))
            for worker in self._active.values():
                worker.process.join(2)
            self._active.clear()


def _answer(worker: Worker, said: object) -> None:
    with suppress(OSError):  # it died since it asked: that is heard next
        worker.pipe.send(said)
