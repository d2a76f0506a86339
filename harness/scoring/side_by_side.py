"""One function over many things, in processes side by side where that is safe, else in this one."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from harness.errors import HarnessError
from harness.parent_death import end_with_parent

T = TypeVar("T")
R = TypeVar("R")
THREADS = Path("/proc/self/task")
"""A folder for each thread of this process, those of libraries in C among them."""


def processes() -> int:
    """How many processes may work side by side: one for each core, or 1 where forks are unsafe.

    A fork copies one thread. Whatever lock another one held, such as that of a library's thread
    pool, is held in the copy for good. So it is done on Linux alone, which counts all threads.
    """
    if sys.platform != "linux" or len(list(THREADS.iterdir())) > 1:
        return 1
    return len(os.sched_getaffinity(0))


def side_by_side(function: Callable[[T], R], things: Sequence[T], *, most: int) -> list[R]:
    """``function`` of each of ``things``, in their order, by at most ``most`` forked processes.

    What it raises is raised here, and the other processes are ended. They also end with this one.

    Raises:
        HarnessError: a process was killed from outside, such as by the kernel for want of memory.
    """
    shares = [range(first, len(things), most) for first in range(min(most, len(things)))]
    if len(shares) < 2:
        return [function(thing) for thing in things]
    workers: dict[Connection, BaseProcess] = {}
    found: dict[int, R] = {}
    try:
        for share in shares:
            pipe, worker = _started(function, things, share)
            workers[pipe] = worker
        open_pipes = list(workers)
        while open_pipes:
            ready = wait(open_pipes)
            open_pipes = [p for p in open_pipes if p not in ready or _receive(p, found)]
    finally:
        for worker in workers.values():
            worker.kill()
            worker.join()
    if len(found) < len(things):
        what = f"{len(things) - len(found)} of {len(things)} were not done: a process was killed"
        raise HarnessError(what, hint="It may have run out of memory; try it again.")
    return [found[number] for number in range(len(things))]


def _started(
    function: Callable[[T], R], things: Sequence[T], share: range
) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    given = (function, things, share, theirs, os.getpid())
    worker = context.Process(target=_work, args=given, daemon=True)
    worker.start()
    theirs.close()  # with a copy here, the end of the worker would not be the end of the pipe
    return ours, worker


def _receive(pipe: Connection, found: dict[int, R]) -> bool:
    """Note the next result of a worker; False when there will be none.

    Raises what the function raised there.
    """
    try:
        number, value, error = pipe.recv()
    except (EOFError, OSError):  # it has ended, or was killed in the midst of a result
        return False
    if error is not None:
        raise error
    found[number] = value
    return True


def _work(
    function: Callable[[T], R], things: Sequence[T], share: range, pipe: Connection, parent: int
) -> None:
    """In a worker: ``function`` of its share, each result or the first error sent back."""
    # Ctrl-C reaches the whole group; the parent ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if os.getppid() != parent:  # it was gone before the kernel was asked to say so
        os._exit(1)
    for number in share:
        try:
            found = (number, function(things[number]), None)
        except Exception as error:
            pipe.send((number, None, _portable(error)))
            return
        pipe.send(found)


def _portable(error: Exception) -> Exception:
    """``error`` with its traceback as a note, which a pipe would lose; or its words, if it must."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:  # whatever a class of exceptions does when it is copied
        return RuntimeError(f"{type(error).__name__}: {error}")
