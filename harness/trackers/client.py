"""The worker's side of trackers: starts their processes, feeds them, and never waits for them long.

Messages pass through a queue and a thread for each tracker, since a pipe that nobody reads would
stop the training after 64 KiB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from harness.secret_texts import without_secrets
from harness.trackers.messages import (
    Ending,
    Handle,
    TrackedRun,
    end_line,
    log_line,
    start_line,
)

PROCESS = "harness.trackers.process"
"""The module that a tracker's process runs."""
PATIENCE = 60.0
"""Seconds that a tracker has at the end for what it has not sent yet, its own imports included."""
PATIENCE_EACH = 2.0
"""Seconds more for each run that was sent."""
SHOWN = 300
"""Characters of a tracker's own words that a warning holds."""
DEFAULTS = {
    # MLflow's own defaults wait for minutes before they say that no server answers
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # MLflow 3 refuses to write plain files unless it is asked to; a `file:` address asks
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Environment variables that the process of a tracker gets where the user has not set them."""


@dataclass
class _Feed:
    """One tracker's process and the thread that writes to it."""

    name: str
    process: subprocess.Popen[bytes]
    queue: SimpleQueue[bytes | None] = field(default_factory=SimpleQueue)
    said: bytes = b""
    """Its reply, one line."""

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._write, daemon=True, name=f"to {self.name}")
        self.thread.start()
        # all the time, not at its end: the reply about a thousand runs does not fit into a pipe,
        # and the process would wait for its reader, who waits for its end
        self.reader = threading.Thread(target=self._read, daemon=True, name=f"from {self.name}")
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()

    def _write(self) -> None:
        stream = self.process.stdin
        assert stream is not None
        # a process that has failed reads no more: its reply says why
        with suppress(OSError):
            while (line := self.queue.get()) is not None:
                stream.write(line)
                stream.flush()
        with suppress(OSError):
            stream.close()

    def reply(self, until: float) -> dict[str, object]:
        """What the process answers before ``until``; it is ended then."""
        left = max(0.1, until - time.monotonic())
        self.thread.join(left)
        try:
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return {"problem": "did not finish in time and was ended"}
        # what has been written is read at once, but by a thread that has its turns like any other
        self.reader.join(max(10.0, until - time.monotonic()))
        with suppress(ValueError):
            reply = json.loads(self.said)
            if isinstance(reply, dict):
                return reply
        return {"problem": f"ended with exit code {self.process.returncode}"}


@dataclass
class Ended:
    """What the trackers left behind."""

    handles: dict[str, list[Handle]] = field(default_factory=dict)
    """Tracker → how it finds the runs again that have ended, in their order."""
    warnings: list[str] = field(default_factory=list)
    """What a tracker that failed says, one line each."""


class Tracking:
    """Runs, one after the other, at several trackers, none of which can fail or stop the caller.

    Args:
        names: The trackers.
        output: Where the processes write what their libraries print; default: this process's
            standard error, which is the cell's log in a worker.
    """

    def __init__(self, names: Sequence[str], *, output: IO[bytes] | None = None) -> None:
        self._warnings: list[str] = []
        self._feeds: list[_Feed] = []
        self._last = 0
        self._patience = PATIENCE
        for name in names:
            try:
                self._feeds.append(_Feed(name, _start(name, output)))
            except OSError as error:  # no memory or no more processes
                self._warnings.append(_warning(name, str(error)))

    def start(self, run: TrackedRun) -> None:
        """Open ``run`` at every tracker."""
        self._last = 0
        self._send(start_line(run))

    def log(self, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a training step, which is in them as `step`.

        A step that has been logged is left out: where one engine had to stop, another begins anew.
        """
        step = int(numbers["step"])
        if step > self._last:
            self._last = step
            rest = {key: value for key, value in numbers.items() if key != "step"}
            self._send(log_line(step, rest))

    def end(self, ending: Ending) -> None:
        """Close the run with what is known at its end; its last step is that of the last log."""
        self._send(end_line(replace(ending, step=self._last)))
        self._patience += PATIENCE_EACH

    def close(self) -> Ended:
        """Wait until the trackers have what was sent; a run that has not ended is closed as failed.

        A tracker that does not finish in time is ended. Whatever went wrong is in the warnings.
        """
        self._send(None)
        found = Ended(warnings=self._warnings)
        until = time.monotonic() + self._patience
        for feed in self._feeds:
            reply = feed.reply(until)
            handles = reply.get("handles")
            found.handles[feed.name] = handles if isinstance(handles, list) else []
            if problem := reply.get("problem"):
                found.warnings.append(_warning(feed.name, str(problem)))
        self._feeds = []
        return found

    def _send(self, line: bytes | None) -> None:
        for feed in self._feeds:
            feed.queue.put(line)


def _start(name: str, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    # the package's own folder goes first: the worker may have been started from anywhere
    home = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", PROCESS, name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
        env={**DEFAULTS, **os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def _warning(name: str, problem: str) -> str:
    return f"{name} was not reported to in full: {without_secrets(problem)[:SHOWN]}"
