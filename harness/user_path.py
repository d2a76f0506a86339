"""Paths as people write them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from harness.errors import HarnessError


def expanded(path: str | Path) -> Path:
    """``path`` with your home folder in place of `~`, or another user's in place of `~name`.

    Raises:
        HarnessError: there is no such user, or, as in some containers, you have no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # pathlib's, and of no use to who wrote it
        name = Path(path).parts[0]
        hint = "Write the whole path. If the name begins with ~, write ./~ instead."
        raise HarnessError(f'"{name}" is no home folder on this machine', hint=hint) from None


def expanded_if_known(path: str | Path) -> Path:
    """The same, as the hub's libraries do it: where there is no home folder, the `~` stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def typed(path: str | Path) -> str:
    """``path`` as a command line takes it: a message's command is there to be copied."""
    return shlex.quote(str(path))
