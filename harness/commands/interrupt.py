"""Ctrl-C in a command: the first one ends it, in seconds; any others change nothing."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.commands.ending import STOPPED

END_SECONDS = 5.0
"""For what is left to do after Ctrl-C: end the workers, show a line."""


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first Ctrl-C, ignore the next, and end for certain.

    Whoever presses it twice hits the cleaning up: an exception there would be a traceback, and
    workers would be left. If it is not done in time the process ends at once; its workers follow,
    because the pipe to it closes (see `harness.run.executors.lifeline`).
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    before = signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        # after Ctrl-C the next ones change nothing: the command is ending, its last line on its way
        if not _stopped:
            signal.signal(signal.SIGINT, before)


_stopped: list[int] = []
"""Not empty after Ctrl-C."""


def _leave() -> None:
    """End an interrupted command here, the last of what Python does at its exit.

    Further on Python gives signals back their default, so the timer would end the process by a
    signal instead of with the exit code; and libraries in C++, such as Ray's, take seconds there.
    """
    if _stopped:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STOPPED)


# now, before libraries are imported: what is registered first runs last
atexit.register(_leave)


def _interrupted(number: int, frame: FrameType | None) -> None:
    # this function stays the handler: one that arrives while Python changes to SIG_IGN is reported
    # with a traceback ("Signal 2 ignored due to race condition")
    if _stopped:
        return
    _stopped.append(number)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, END_SECONDS)
    raise KeyboardInterrupt


def _out_of_time(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stopped\n")  # a cluster that is slow to answer must not make it end in silence
    os._exit(STOPPED)
