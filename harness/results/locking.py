"""One writer at a time in a run directory: two runs there would each overwrite what the other does.

The lock is the operating system's, so it ends with the process that holds it, however that ends.
Different run directories share nothing but the caches of the libraries, which lock for themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from harness.errors import HarnessError
from harness.results.companions import NEXT, finish_replacing
from harness.results.drafts import is_abandoned
from harness.results.paths import CellPaths, read_json, write_json
from harness.results.result import load_result
from harness.results.writable import refuse_read_only

LOCK = ".lock"
HOLDER = ".lock.json"
"""Who holds the lock, for the message that others get; it is left behind by one that was killed."""

_DRAFT = re.compile(
    r"\..+\.(json|jsonl|yaml|md|html|csv|parquet|svg|tex)\.([a-z0-9_]{8}|next)"
    r"|\.[0-9a-f]{16}\.[a-z0-9_]{8}"  # of a folder under `rows`
)
"""The names under which files are written before they are renamed."""


@contextmanager
def locked(directory: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock on the run in ``directory``; gives whether somebody else had it first.

    Args:
        directory: The run directory; it is made if it is not there.
        wait: Wait until it is free, instead of refusing.

    Raises:
        HarnessError: another process holds it: the message says which, and since when.
    """
    directory.mkdir(parents=True, exist_ok=True)
    refuse_read_only(directory)
    lock = FileLock(directory / LOCK)
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            hint = "Wait for it (`--wait`), or write to another directory by -o."
            what = f"in use: {_holder(directory)}"
            raise HarnessError(what, where=str(directory), hint=hint) from None
        waited = True
        lock.acquire()
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        write_json(directory / HOLDER, holder)
        yield waited
    finally:
        with suppress(OSError):
            (directory / HOLDER).unlink()
        lock.release()


def remove_drafts(directory: Path) -> None:
    """Delete what writers that were killed left half written; called under the lock."""
    for path in drafts_in(directory):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            remove_draft(path)


def remove_draft(path: Path) -> None:
    """Delete the file ``path``, a draft, if nobody needs it; called under the lock.

    A report is written without the lock: what it writes just now stays.
    """
    if is_abandoned(path) and not _belongs_to_result(path):
        path.unlink(missing_ok=True)


def _belongs_to_result(draft: Path) -> bool:
    """Put the answers in place that `score` was killed before it renamed; whether they stay.

    Their result is written already, so they are all that there is of its answers.
    """
    if not draft.name.endswith(NEXT):
        return False
    home = CellPaths(draft.parent)
    try:
        found = load_result(home.result)
    except HarnessError:
        return True  # a damaged result does not say which answers are its own
    if found is not None:
        finish_replacing(home, found.companions)
    return False


def drafts_in(directory: Path) -> list[Path]:
    """The drafts below ``directory``; of a run that goes on, some may be written just now."""
    # not `rglob`: it ends in an error where a folder is deleted while it is listed
    return [
        Path(folder, name)
        for folder, folders, files in os.walk(directory)
        for name in (*folders, *files)
        if _DRAFT.fullmatch(name)
    ]


def _holder(directory: Path) -> str:
    """Who holds the lock, in words."""
    try:
        found = read_json(directory / HOLDER)
        if found["host"] == socket.gethostname() and not psutil.pid_exists(found["pid"]):
            raise ValueError  # left behind by one that was killed
        return f"process {found['pid']} on {found['host']} writes to it since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process writes to it"  # it has the lock, and has not yet said who it is
