"""The fork server that workers come from, with what its cells import.

Torch, transformers, PEFT and TRL take seconds of processor time. A server whose cells need none of
them, because another machine has the model, starts without.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import current_process, forkserver, resource_tracker
from typing import Any

from harness.plan.backends import BACKENDS
from harness.results.paths import CellPaths
from harness.run.executors.base import Job

WARM, LIGHT = "harness.run.executors.warm", "harness.run.executors.light"
"""What a server imports first: everything, or what a cell without a local model needs."""
PATIENCE = 5.0
"""Seconds for a server without workers to end; it takes milliseconds."""
_QUIET = "ignore:resource_tracker:UserWarning"
_started: list[str] = []
"""What this process's server has imported; there is one server in a process."""


def fork_server_for(jobs: Sequence[Job]) -> Any:
    """The context whose processes are forked from a server that fits ``jobs``."""
    context = multiprocessing.get_context("forkserver")
    _start_tracker()
    wanted = WARM if any(needs_training_stack(paths) for _, paths in jobs) else LIGHT
    if wanted == WARM and _started == [LIGHT]:
        _stop()  # each of the cells would import the libraries for itself
    if not _started:
        context.set_forkserver_preload([wanted])
        _started.append(wanted)
    return context


def _start_tracker() -> None:
    """Start the process that removes what killed workers held, without its warning.

    After Ctrl-C it would print that it cleans up their semaphores, after the last word of the run.
    Its options are those of this interpreter, read once, when it starts.
    """
    sys.warnoptions.append(_QUIET)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_QUIET)


def needs_training_stack(paths: CellPaths) -> bool:
    """Whether the cell in ``paths`` loads a model here.

    What cannot be read is taken to do so, as is a plug-in's backend that does not say.
    """
    try:
        name = json.loads(paths.cell.read_text("utf-8"))["cell"]["backend"]
        return BACKENDS.get(name).packages != ()
    except Exception:  # the worker reads it again, and says what is wrong
        return True


def _kill(number: int) -> None:
    with suppress(ProcessLookupError):  # it ended just in time
        os.kill(number, signal.SIGKILL)


def _stop() -> None:
    """End this process's server, which has no worker now; the next one starts anew.

    The module has no public way. Without this private one the light server stays, which is slower.
    """
    server = getattr(forkserver, "_forkserver", None)
    number = getattr(server, "_forkserver_pid", None)
    if server is not None and number and hasattr(server, "_stop"):
        # it ends once nobody holds the pipe that keeps it alive; whoever does must not keep us
        patience = threading.Timer(PATIENCE, _kill, (number,))
        patience.start()
        with suppress(OSError):  # the server has removed its socket and the folder of it
            server._stop()
        patience.cancel()
        _started.clear()
        current_process()._config["tempdir"] = None  # type: ignore[attr-defined]
