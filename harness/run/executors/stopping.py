"""Stop processes with their threads and children, and make sure that they are stopped.

A signal that was sent has not arrived yet: a thread in a system call stops when the call returns,
and each thread of a process stops on its own. Whoever measures beside them must wait until the
kernel says of every thread that it is stopped.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from harness.trackers.client import PROCESS as TRACKER

PATIENCE = 10.0
"""Seconds to wait for processes to stop: one that writes to a slow disk takes long to notice."""
POLL = 0.001
"""Seconds between two looks."""


def stop(pids: Iterable[int]) -> bool:
    """Stop the processes ``pids`` and all that they started; whether every thread is stopped.

    A process is stopped after the one that started it: in ``vfork`` (Python's `subprocess`, a
    shell) that one waits in the kernel, where no signal reaches it, until the new process has begun
    its program. Stopped before that, the new one would keep it there for good.
    """
    roots, signalled = list(pids), set[int]()
    deadline = time.monotonic() + PATIENCE
    while True:
        # children are listed anew each time: until it is stopped, a process may start another
        there = family(roots)
        running = {process.pid for process in there if not is_stopped(process.pid)}
        for process in there:
            if process.pid not in signalled and _parent(process) not in running:
                signalled.add(process.pid)
                _send(process.pid, signal.SIGSTOP)
        if not running and all(process.pid in signalled for process in family(roots)):
            return True
        if running and time.monotonic() > deadline:
            return False
        time.sleep(POLL)


def resume(pids: Iterable[int]) -> None:
    """Let the processes ``pids`` and all that they started go on."""
    for process in family(pids):
        _send(process.pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Whether every thread of the process ``pid`` is stopped; one that has ended counts as well."""
    try:
        # listed once, not looked for before: a process may end between two calls
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # it has ended, or this is macOS, where a task stops with all of its threads
        return _is_stopped_as_a_whole(pid)
    return all(_state(thread / "stat") in "TtZXx" for thread in threads)


def _is_stopped_as_a_whole(pid: int) -> bool:
    try:
        gone = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE)
        return psutil.Process(pid).status() in gone
    except psutil.NoSuchProcess:
        return True


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds that ``pids`` and all that they started have used so far."""
    total = 0.0
    for process in family(pids):
        with suppress(psutil.Error):  # it has ended, or is another user's
            times = process.cpu_times()
            total += times.user + times.system
    return total


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes ``pids`` and all that they started, as far as they are still there."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for one in (process, *_descendants(process)):
                found[one.pid] = one
    return list(found.values())


def _descendants(process: psutil.Process) -> Iterable[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.AccessDenied:
        # where /proc hides the processes of others (`hidepid=1`), psutil stops at the first of them
        return _visible_descendants(process)


def _visible_descendants(process: psutil.Process) -> list[psutil.Process]:
    started: dict[int, list[psutil.Process]] = {}
    for pid in psutil.pids():
        with suppress(psutil.Error):
            one = psutil.Process(pid)
            started.setdefault(one.ppid(), []).append(one)
    found = list(started.get(process.pid, ()))
    for one in found:  # it grows: children of children come after them
        found += started.get(one.pid, ())
    return found


def end(processes: Sequence[psutil.Process]) -> None:
    """Kill ``processes``, stopped ones as well; those of experiment trackers are let go.

    A tracker's process sees that its worker is gone, closes the run as failed and ends by itself
    within a minute. Killed, it would leave a run that looks as if it still went on.
    """
    trackers = {process.pid for process in processes if _is_tracker(process)}
    for process in processes:
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.pid in trackers or process.ppid() in trackers:
                _send(process.pid, signal.SIGCONT)
            else:
                process.kill()


def _is_tracker(process: psutil.Process) -> bool:
    try:
        return TRACKER in process.cmdline()
    except psutil.Error:
        return False  # it has ended, or is somebody else's


def _parent(process: psutil.Process) -> int:
    """The number of the process that started ``process``; 0 if it has ended."""
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's
        os.kill(pid, number)


def _state(stat: Path) -> str:
    """The state's letter: it follows the name, which is in brackets and may hold any character."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"  # the thread ended between the listing and the reading
