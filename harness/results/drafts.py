"""The drafts that files are written as before they are renamed, and which are abandoned."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]


def new_draft(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside ``path``, and its name; see `is_abandoned`."""
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # `x` refuses a file or a link that lies there; the user's umask decides who may read it,
        # which `mkstemp` would leave at the owner alone
        try:
            file = name.open("xb")
        except OSError as error:  # whoever reads the message has never seen the draft's name
            error.filename = str(path)
            raise
        if fcntl is None:
            return name, file
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink or name.exists():  # some count no links
            return name, file
        file.close()  # between the two calls it was taken for abandoned, and deleted


def is_abandoned(draft: Path) -> bool:
    """Whether nobody is writing ``draft`` any more; False where that cannot be known.

    Whoever writes a file holds the lock of its draft, which ends with the process, however that
    ends.
    """
    if fcntl is None:
        return True  # Windows deletes no file that is open
    # NFS gives the lock only of a file that is open for writing; another user's may not be
    mode = "rb+" if os.access(draft, os.W_OK) else "rb"
    try:
        with draft.open(mode) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
