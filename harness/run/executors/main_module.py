"""What a worker knows of the program that started the run.

multiprocessing runs the parent's main module again in every worker, so that what a script defines
is there: a metric that it registers, say. Programs that define nothing are left out. The command
line would cost each worker 40 ms of processor time, Ray's own program 0.6 s: it imports Ray.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import ModuleType

MODULES = ("harness.cli", "submitit.core._submit")
"""Run as `python -m`."""
FILES = ("harness", "default_worker.py")
"""Run by their path: the command as `pip` installs it, and what Ray starts on a node."""


@contextmanager
def hidden_program() -> Iterator[None]:
    """Hide the main module from processes that start meanwhile, if it is such a program."""
    main = sys.modules["__main__"]
    if not _is_program(main):
        yield
        return
    spec, file = main.__spec__, main.__file__
    main.__spec__ = main.__file__ = None  # where multiprocessing looks for it
    try:
        yield
    finally:
        main.__spec__, main.__file__ = spec, file


def _is_program(main: ModuleType) -> bool:
    if main.__spec__ is not None:
        return main.__spec__.name in MODULES
    return PurePath(getattr(main, "__file__", None) or "").name in FILES
