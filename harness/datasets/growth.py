"""Packed files, unpacked piece by piece: one that is made to fill memory is refused early."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.errors import HarnessError

LARGE, MOST_RATIO = 100 * 2**20, 500
"""A file that grows to more bytes than this, and by more than this ratio, is made to fill a disk:
text grows 3 to 20 times, the shipped packed runs 10 to 40 times."""
UNUSUAL = "Text grows at most some 20 times: take the file from a source that you trust."
CHUNK = 2**20
XZ_MEMORY = 512 * 2**20
"""Most memory for a dictionary of xz: preset 9 needs 65 MiB, the format allows 4 GiB."""
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What a packed file that is cut or edited raises as it is read."""


class Xz:
    """An xz file as a stream with a limit on memory, which `lzma.open` has not."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._reader = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        while not self._reader.eof:
            packed = self._file.read(CHUNK // 16) if self._reader.needs_input else b""
            if self._reader.needs_input and not packed:
                raise EOFError("the file is cut")
            data = self._reader.decompress(packed, max_length=size)
            if data:
                return data
        return b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Stream(Protocol):
    """What `unpack` needs of an open file."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""

    def close(self) -> None:
        """Close the file."""


OPENERS: dict[str, Callable[[Path], Stream]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": Xz,
}
"""Suffix → what unpacks such a file."""


def unpack(path: Path, packing: str) -> bytes:
    """The content of the packed file ``path``.

    Raises:
        HarnessError: it grows beyond all reason.
        OSError: as others of `BROKEN`: it is cut or is none.
    """
    packed, size, parts = path.stat().st_size, 0, []
    with contextlib.closing(OPENERS[packing](path)) as stream:
        while part := stream.read(CHUNK):
            parts.append(part)
            size += len(part)
            refuse_growth(path, size, packed)
    return b"".join(parts)


def refuse_growth(path: Path, size: int, packed: int) -> None:
    """Refuse a file of ``packed`` bytes that grew to ``size`` so far.

    Raises:
        HarnessError: no honest file grows so much.
    """
    if size > LARGE and size > MOST_RATIO * packed:
        what = f"{packed / 2**10:,.0f} KiB grow to more than {size / 2**20:,.0f} MiB: refused"
        raise HarnessError(what, where=str(path), hint=UNUSUAL)
