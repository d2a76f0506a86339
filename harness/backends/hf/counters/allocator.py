"""How the C library's allocator treats the memory of a worker that computes on the CPU.

PyTorch's tensors on a CPU come from `malloc`. By default glibc gives a large tensor back to the
kernel when it is freed, and the next one is zeroed page by page again: half of all page faults of a
cell, and a third of its time in the kernel. See mallopt(3).
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The numbers of these parameters in `malloc.h`."""
LARGEST = 32 * 1024**2
"""Bytes from which a block is mapped by itself and given back at once; the most that glibc takes.
Weights and logits are mostly larger, so what can be left over is little."""
KEPT = 128 * 1024**2
"""Free bytes at the end of the heap that are kept for what comes next."""
OWN_SETTINGS = ("GLIBC_TUNABLES", "LD_PRELOAD")
"""Variables by which people choose these themselves, or another allocator."""


def keep_freed_memory() -> bool:
    """Let this process use freed memory again; whether it does.

    Not where it runs on glibc's rules that somebody has set, and not outside glibc.
    """
    chosen = any(name in OWN_SETTINGS or name.startswith("MALLOC_") for name in os.environ)
    library = _glibc()
    if chosen or library is None:
        return False
    # both, always: setting one of them ends the adjustment of the other, which is slower than
    # the defaults are
    return all(
        library.mallopt(name, value) == 1
        for name, value in ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, KEPT))
    )


def give_back() -> None:
    """Give what is free to the kernel, so that the memory counted next is what is in use."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    whole = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if whole and hasattr(library, "gnu_get_libc_version") else None
