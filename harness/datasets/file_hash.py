"""Hashes of files: of what lies there now, or kept for as long as size and time are the same."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def file_digest(path: Path) -> bytes:
    """SHA-256 of the bytes that are in ``path`` now, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def known_digest(path: Path) -> bytes:
    """The same, read once for every edit of ``path``: for inputs, which many cells share."""
    found = path.stat()
    return _digest_at(path, found.st_size, found.st_mtime_ns)


def file_hash(path: Path) -> str:
    """Sixteen hex digits of `known_digest`."""
    return known_digest(path).hex()[:16]


@cache
def _digest_at(path: Path, size: int, changed: int) -> bytes:
    """Of the file as it was when it had this size and time: an edit is another key."""
    return file_digest(path)
