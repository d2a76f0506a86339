"""What the fork server imports before the first cell: the heavy libraries, in silence.

Importing this module closes the server's own output, so that the libraries' advice does not
reach the terminal. A worker opens its log before it runs; an import that fails here fails there
again, with its traceback.
"""

from __future__ import annotations

import os


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


_silence()

import harness.hf.backend  # noqa: E402
import harness.worker  # noqa: E402, F401
