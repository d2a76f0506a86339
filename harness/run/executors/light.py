"""What every fork server imports before the first cell, in silence: no training library.

Importing this module closes the server's own output, so that the libraries' advice does not reach
the terminal. A worker opens its log before it runs.
"""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from importlib import import_module

from harness.collector import uncollected
from harness.datasets.ru_calculations import generate
from harness.metrics.registry import registered
from harness.metrics.tokenize import unicode_tokens
from harness.plugins import installed
from harness.run.executors.lifeline import end_workers_at_exit

ON_THE_WAY = (
    "filelock",
    "harness.backends.served",
    "harness.backends.testing",
    "harness.cli",
    "harness.datasets.finance_alpaca",
    "harness.datasets.finance_labels",
    "harness.datasets.finance_qa",
    "harness.run.executors.local",
    "harness.run.runner",
    "huggingface_hub.repocard_data",
    "huggingface_hub.utils",
    "numpy.testing",
    "pydantic.dataclasses",
    "rapidfuzz.process",
    "scipy.special",
)
"""Modules that a cell imports only when it needs them: seven eighths of the processor time of a
cell without a model, if each imports them for itself. `harness.cli` and `harness.run` are of the
program that starts a run: multiprocessing has each forked process import it anew."""


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server gets every Ctrl-C of the terminal, too
_silence()
end_workers_at_exit()
with uncollected():
    import harness.run.worker  # noqa: F401

    registered()  # every metric's module
    installed()  # which folders have no plug-ins; a worker imports those that there are
    for name in ON_THE_WAY:
        with suppress(ImportError):  # a cell that needs it says so, with its traceback
            import_module(name)
    # what each worker would otherwise make for itself: a pattern of 5 ms, rows of a set of 10 ms
    unicode_tokens("one 2")
    generate()
    # a full collection in a worker would walk every object of the libraries and copy their pages
    gc.freeze()
