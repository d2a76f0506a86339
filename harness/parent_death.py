"""The kernel's promise that a process ends when the one that started it does."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""The number of this request in `prctl(2)`."""


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, also while it is stopped.

    Linux alone can do it; elsewhere nothing happens. A parent that was gone before is not noticed,
    so whoever calls it has another way to see that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
