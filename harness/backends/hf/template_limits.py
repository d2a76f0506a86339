"""Limits on what a chat template may take: it comes with a model's weights, from anyone.

Transformers renders templates in Jinja's sandbox, which keeps them from files, modules and
attributes of Python. It does not keep them from memory: `{{ "x" * 10**10 }}` is allowed there, and
so is a text that a loop doubles a hundred times.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

MOST_CHARACTERS = 8_000_000
"""Longest rendering: more than any context window holds, and tokenized within seconds."""
MOST_MEMORY = 2**29
"""Bytes that a rendering may take beyond what the process has: a text of the size above many
times over."""


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Let what runs inside take `MOST_MEMORY` at most; it meets a MemoryError beyond that.

    Without effect where the system has no such limit: the length of the text is checked all the
    same.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    import psutil

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + MOST_MEMORY
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([most, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
