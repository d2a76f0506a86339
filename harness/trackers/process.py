"""The process of one tracker: messages in on standard input, one reply out. Run as a module.

    python -m harness.trackers.process mlflow

The end of the input without an `end` message means that the worker is gone: the run is closed as
failed. So no process outlives its worker, and no run stays "running" on the server for good.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Protocol

from harness.trackers.messages import Ending, Handle, TrackedRun, ending_of, run_of
from harness.trackers.names import missing_reason

ALONE_SECONDS = 60
"""How long a process without its worker may take to close the run."""


class Tracker(Protocol):
    """What a tracker's module offers as `open_run`: one run of it."""

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add numbers of one training step."""

    def end(self, ending: Ending) -> Handle:
        """Add what is known at the end and close the run; how to find it again."""


def follow(name: str, lines: Iterable[bytes], handles: list[Handle]) -> None:
    """Do what ``lines`` say with the tracker ``name``.

    Args:
        name: The tracker.
        lines: Messages of one run after the other.
        handles: Gets how to find each run that has ended.

    Raises:
        EOFError: the lines end within a run.
    """
    run: Tracker | None = None
    try:
        for line in lines:
            kind, value = json.loads(line)
            if kind == "start":
                run = _open(name, run_of(value))
            elif kind == "log" and run is not None:
                run.log(value[0], value[1])
            elif run is not None:
                handles.append(run.end(ending_of(value)))
                run = None
        if run is not None:
            signal.alarm(ALONE_SECONDS)  # nobody is left to end this process if the library hangs
            raise EOFError("the worker ended before its cell did")
    finally:
        if run is not None:
            with suppress(Exception):  # what went wrong first is what is reported
                run.end(Ending(ok=False))


def _open(name: str, run: TrackedRun) -> Tracker:
    if reason := missing_reason(name):
        raise ImportError(reason)
    opened: Tracker = import_module(f"harness.trackers.{name}_run").open_run(run)
    return opened


def main(name: str) -> None:
    """Follow standard input; reply with the handles, and with what went wrong."""
    # Ctrl-C in a terminal reaches every process there; the worker decides when this one ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reply = os.dup(1)
    os.dup2(2, 1)  # libraries print on standard output, which is for the reply alone
    handles: list[Handle] = []
    answer: dict[str, object] = {"handles": handles}
    try:
        follow(name, sys.stdin.buffer, handles)
    except Exception as error:  # a library may raise anything; it becomes a warning on the row
        text = " ".join(str(error).split())
        answer["problem"] = f"{type(error).__name__}: {text}" if text else type(error).__name__
    os.write(reply, json.dumps(answer).encode() + b"\n")
    os.close(reply)


if __name__ == "__main__":
    main(sys.argv[1])
