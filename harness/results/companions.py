"""The files beside a ``result.json``: their hashes, so that a result belongs to what it stands by.

A result is computed from the answers beside it. If they are cut, edited or gone, every number in it
is about something else. So it records a hash of each file, and whoever reads one compares.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from harness.counting import counted
from harness.datasets.file_hash import file_digest
from harness.errors import DamagedFile, HarnessError
from harness.results.paths import CellPaths, bytes_in, sync
from harness.results.reading import AGAIN, read_log, read_predictions
from harness.results.records import CHECKED

LOG = "train_log.jsonl"
REPORTED = ("predictions.jsonl", "control.jsonl", LOG)
"""Tables that a report may read; they are in a packed run as well."""
TABLES = (*REPORTED, "repeats.jsonl")
"""Files of one record a line."""
ADAPTER = "adapter"
CARD = "README.md"
"""The adapter's model card is made of the result: no number is made of it."""
NEXT = ".next"
"""How the name of a draft ends that takes its place when its result is written."""
HASHED_BYTES = 32 * 2**20
"""Adapter files up to this size are compared by their content whenever a suite is planned; larger
ones by their size, as models are: reading gigabytes at every `harness plan` would cost minutes."""


@dataclass(frozen=True)
class Companion:
    """What a file beside ``result.json`` holds."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    sha256: str
    """The first 16 digits; of an adapter over its files."""
    bytes: int
    rows: int | None = None
    """Lines of a table; None for an adapter."""


def companions_of(paths: CellPaths) -> dict[str, Companion]:
    """Name → what is there now, of the files that stand in the cell's folder."""
    found = {}
    for name in TABLES:
        path = paths.directory / name
        if path.is_file():
            found[name] = table_of(path.read_bytes())
    if paths.adapter.is_dir():
        found[ADAPTER] = _folder_of(paths.adapter)
    return found


def table_of(content: bytes) -> Companion:
    """The record of a table with this ``content``."""
    return Companion(_digest(content), len(content), content.count(b"\n"))


def check_table(path: Path, content: bytes | None, expected: Companion) -> None:
    """Refuse a table that is not the one its result was computed from.

    Args:
        path: The table; named in the error.
        content: What it holds; None: there is no such file.
        expected: What the result recorded.

    Raises:
        DamagedFile: it is gone, has other rows, or other content.
    """
    if content is None:
        rows = "rows" if expected.rows is None else counted(expected.rows, "row")
        what = f"the file is gone; result.json was computed from its {rows}"
        raise DamagedFile(what, where=str(path), hint=AGAIN)
    found = table_of(content)
    if found == expected:
        return
    # where a line is cut or of another type, its number says more than a count
    read_log(path) if path.name == LOG else read_predictions(path)
    if found.rows != expected.rows:
        thing = "answers" if path.name == TABLES[0] else "rows"
        what = f"{found.rows} {thing}; result.json was computed from {expected.rows}"
        raise DamagedFile(what, where=str(path), hint=AGAIN)
    what = "is not the file that result.json was computed from: its content has changed"
    raise DamagedFile(what, where=str(path), hint=AGAIN)


def check_there(paths: CellPaths, companions: Mapping[str, Companion]) -> None:
    """Refuse a cell's folder in which a table is gone or of another size; reads nothing else.

    Adapter and repeats are not asked for: a report needs none, and a packed run has none.

    Raises:
        DamagedFile: it names the first such table.
    """
    finish_replacing(paths, companions)
    for name in REPORTED:
        if name in companions:
            path = paths.directory / name
            if _size(path) != companions[name].bytes:
                check_table(path, bytes_in(path), companions[name])


def check_all(paths: CellPaths, companions: Mapping[str, Companion]) -> None:
    """Refuse a cell's folder in which a companion is gone or not the one of the result.

    Raises:
        DamagedFile: it names the first such file.
    """
    finish_replacing(paths, companions)
    for name, expected in companions.items():
        path = paths.directory / name
        if name != ADAPTER:
            check_table(path, bytes_in(path), expected)
        else:
            check_adapter(path, expected, most=HASHED_BYTES)


def check_adapter(folder: Path, expected: Companion, *, most: int | None = None) -> None:
    """Refuse an adapter that is not the one that a result was made with.

    Args:
        folder: Where it is.
        expected: What the result recorded.
        most: Compare an adapter of more bytes by its size alone; default: always its content.

    Raises:
        DamagedFile: it is gone, or has another size or content.
    """
    if not folder.is_dir():
        raise DamagedFile("the adapter is gone", where=str(folder), hint=AGAIN)
    try:
        size = sum(path.stat().st_size for path in _files(folder))
        changed = size != expected.bytes
        if not changed and (most is None or size <= most):
            changed = _folder_of(folder).sha256 != expected.sha256
    except FileNotFoundError:  # a run that goes on is training it anew
        changed = True
    if changed:
        what = "is not the adapter that result.json was made with: its files have changed"
        raise DamagedFile(what, where=str(folder), hint=AGAIN)


def draft_of(path: Path) -> Path:
    """Where the next content of ``path`` lies until its result is written."""
    return path.with_name(f".{path.name}{NEXT}")


def finish_replacing(paths: CellPaths, companions: Mapping[str, Companion]) -> None:
    """Put the drafts in place that belong to the result; one that was killed left them.

    Answers and result cannot be replaced in one step. The order is: draft of the answers, result,
    rename. A result whose draft is still there was written whole, so the rename is made up for.
    """
    for name, expected in companions.items():
        path = paths.directory / name
        content = bytes_in(draft_of(path)) if name in TABLES else None
        if content is not None and table_of(content) == expected:
            put_in_place(path)


def put_in_place(path: Path) -> None:
    """Rename the draft of ``path`` to it, unless another process has just done so.

    Between result and rename every reader makes up for the rename, that of a writer at work, too.

    Raises:
        HarnessError: you may only read the folder.
    """
    try:
        draft_of(path).replace(path)
    except FileNotFoundError:
        pass  # it has
    except OSError as error:
        # the old table cannot be read instead: the result was computed from the new one
        if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
            raise
        what = (
            "its last `harness score` was cut short, and you may not write into it to finish that"
        )
        hint = "Ask its owner to run `harness show` on the run once, or copy the run directory."
        raise HarnessError(what, where=str(path.parent), hint=hint) from None
    sync(path.parent)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:  # between the two
        return None


def _folder_of(folder: Path) -> Companion:
    whole, size = hashlib.sha256(), 0
    for path in _files(folder):
        content = file_digest(path).hex()
        whole.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
        size += path.stat().st_size
    return Companion(whole.hexdigest()[:16], size)


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != CARD)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
