"""Whether a directory may be written to, asked before a lock in it fails by its own name."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import HarnessError


def refuse_read_only(directory: Path) -> None:
    """Refuse to write into a run that you may only read.

    Raises:
        HarnessError: ``directory`` is there, and you may not write into it.
    """
    if directory.is_dir() and not os.access(directory, os.W_OK):
        hint = "Name another folder by -o where the command has it, or copy the directory."
        raise HarnessError("you may not write into it", where=str(directory), hint=hint)
