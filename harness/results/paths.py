"""The file names of a run directory, known here alone."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from harness.errors import HarnessError
from harness.results.drafts import new_draft

NAME_BYTES = 200
"""Most bytes of the names in a cell's folder; file systems allow 255, seed and hash included."""
PART_BYTES = 40
"""Bytes kept of each name if all of them together are too long."""
_UNSAFE = re.compile(r"[^\w.+=@-]|^[.-]")
"""Separators, spaces, control characters, and what makes a name hidden, relative or an option."""


def folder_name(names: Sequence[str]) -> str:
    """``names`` joined by ``--`` as one folder name: never a path, never too long.

    A name comes from a suite, a hub (`owner/name`) or an imported file, so it may hold anything.
    What cannot stand in a file name becomes `_`, and a changed name gets a hash of what it was:
    two names never share a folder because they were escaped alike.
    """
    kept = [_file_part(name) for name in names]
    if len("--".join(kept).encode()) > NAME_BYTES:
        kept = [_file_part(name, most=PART_BYTES) for name in names]
    return "--".join(kept)


def _file_part(name: str, most: int | None = None) -> str:
    safe = _UNSAFE.sub("_", name)
    if safe == name and name and (most is None or len(name.encode()) <= most):
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    short = safe.encode("utf-8", "ignore")[: most or PART_BYTES].decode("utf-8", "ignore")
    return f"{short}~{mark}"


@dataclass(frozen=True)
class CellPaths:
    """The files of one cell."""

    directory: Path
    """``cells/<key>/``."""

    @property
    def cell(self) -> Path:
        """The resolved settings: the input of a worker."""
        return self.directory / "cell.json"

    @property
    def result(self) -> Path:
        """The outcome; written last, by rename, so its presence means done."""
        return self.directory / "result.json"

    @property
    def predictions(self) -> Path:
        """One line per test example."""
        return self.directory / "predictions.jsonl"

    @property
    def control(self) -> Path:
        """One line per item of the control set."""
        return self.directory / "control.jsonl"

    @property
    def repeats(self) -> Path:
        """One line per answer that was only given again, for the noise floor."""
        return self.directory / "repeats.jsonl"

    def stage(self, name: str) -> Path:
        """What the stage `train`, `predict` or `measure` found out; written when it is done."""
        return self.directory / f"{name}.json"

    @property
    def train_log(self) -> Path:
        """One line per logged training step."""
        return self.directory / "train_log.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained adapter in PEFT's format."""
        return self.directory / "adapter"

    @property
    def checkpoints(self) -> Path:
        """What a training that was interrupted goes on from; gone once it is done."""
        return self.directory / "checkpoints"

    @property
    def smaller_batch(self) -> Path:
        """How often the batch is halved, in this attempt at a training that had no room."""
        return self.directory / "smaller_batch.json"

    @property
    def rows(self) -> Path:
        """Tokenized training rows, shared by the cells of the run."""
        return self.directory.parents[1] / "rows"

    @property
    def overlap(self) -> Path:
        """What training and test rows share, counted once for the cells of the run."""
        return self.directory.parents[1] / "overlap"

    @property
    def tracking(self) -> Path:
        """Experiment tracker → how it finds the cell's run again."""
        return self.directory / "tracking.json"

    @property
    def log(self) -> Path:
        """Everything the libraries printed."""
        return self.directory / "cell.log"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run directory, ``runs/<suite>/``."""

    directory: Path

    def cell(self, key: str) -> CellPaths:
        """The files of the cell named ``key``.

        Raises:
            HarnessError: ``key`` leads out of the run; a plan.json may come from anyone.
        """
        parts = PurePosixPath(key).parts
        if not parts or ".." in parts or parts[0] == "/" or "\\" in key or "\0" in key:
            hint = "The file was edited or damaged; `harness run` writes it anew."
            raise HarnessError(f"{key!r} is not a cell's name", where=str(self.plan), hint=hint)
        return CellPaths(self.directory / "cells" / key)

    @property
    def cells(self) -> Path:
        """The folder of all cells."""
        return self.directory / "cells"

    @property
    def trackers(self) -> Path:
        """Files of experiment trackers, such as TensorBoard's."""
        return self.directory / "trackers"

    @property
    def suite(self) -> Path:
        """The suite as it was run."""
        return self.directory / "suite.yaml"

    @property
    def plan(self) -> Path:
        """The cells of the last invocation in matrix order, and the skipped ones' reasons."""
        return self.directory / "plan.json"

    @property
    def environment(self) -> Path:
        """Packages, hardware and git revision."""
        return self.directory / "environment.json"


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Write ``value`` as strict JSON under a temporary name, then rename it to ``path``."""
    write_text(path, json_text(value), durable=durable)


def json_text(value: object) -> str:
    """``value`` as strict JSON, as every JSON file of a run directory is written."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, as `write_bytes` does.

    A lone surrogate, as Python makes of an argument that is not UTF-8, is written as its escape,
    which JSON reads back as what it was.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write ``content`` under a temporary name in the same folder, then rename it to ``path``.

    The bytes are on the disk before the name is, and the name is before this returns: after a
    power cut a file is there whole or not at all.

    Args:
        path: The file.
        content: All of it.
        durable: False where that can wait, because nothing counts on the file until `settle` was
            called: a file that is not waited for costs a fraction of a millisecond.
    """
    with written(path, durable=durable) as file:
        file.write(content)


@contextmanager
def written(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of ``path`` at the end, unless there was an error."""
    if path.is_dir():  # `-o ""` is the working directory, and has no name to put a draft beside
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        # `--junit /dev/stdout`: to rename onto a device or a pipe would put a file in its place,
        # and root that did so to /dev/null would break the machine
        with path.open("wb") as stream:
            yield stream
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    name, file = new_draft(path)
    try:
        with file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            if os.name != "nt":  # while it is open, so that nobody takes it for abandoned
                name.replace(path)
        if os.name == "nt":  # which renames no file that is open
            name.replace(path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def settle(places: Iterable[Path]) -> None:
    """Wait until the content of ``places`` is on the disk: files, and folders with all in them.

    Their own names are there once the folder that they lie in is synced.
    """
    for place in places:
        if place.is_dir():
            settle(place.iterdir())
        if place.exists():
            sync(place)


def sync(place: Path) -> None:
    """Wait until the file, or the names in the folder, ``place`` are on the disk."""
    if os.name == "nt":
        return  # Windows opens no folder, and its renames are journalled
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems cannot sync a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def bytes_in(path: Path) -> bytes | None:
    """What the file ``path`` holds; None where there is no such file.

    In one call: a file that another command deletes or replaces may be gone after any `is_file`.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def read_json(path: Path) -> Any:
    """The JSON value in ``path``."""
    return json.loads(path.read_text(encoding="utf-8"))
