"""Python's garbage collector, left out where it finds nothing and takes time all the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Skip the search for cycles inside: it walks every object that there is, again and again.

    Importing torch and transformers makes over a million objects that stay, which costs the
    collector a fifth of the import's time; a run's records have no cycles at all.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
