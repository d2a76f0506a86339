"""Ctrl-C in a command: the first one ends it, in seconds; any others change nothing."""

from __future__ import annotations

import os
import signal
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
        # after Ctrl-C it stays ignored: the command is ending, and its last line is on its way
        if signal.getsignal(signal.SIGINT) is _interrupted:
            signal.signal(signal.SIGINT, before)


def _interrupted(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, END_SECONDS)
    raise KeyboardInterrupt


def _out_of_time(number: int, frame: FrameType | None) -> None:
    os._exit(STOPPED)
