"""What every fork server imports before the first cell, in silence: no training library.

Importing this module closes the server's own output, so that the libraries' advice does not reach
the terminal. A worker opens its log before it runs.
"""

from __future__ import annotations

import os
import signal

from harness.metrics.registry import registered
from harness.run.executors.lifeline import end_workers_at_exit


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server gets every Ctrl-C of the terminal, too
_silence()
end_workers_at_exit()
import harness.run.worker  # noqa: E402, F401

registered()  # every metric's module
