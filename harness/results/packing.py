"""A run as one small file: what a report reads and nothing else, without this machine's paths.

The file is a tar archive under xz: sorted names, no dates, no owners, so the same run gives the
same bytes. Adapters, logs and the suite's own text stay behind.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from harness.datasets.growth import BROKEN, unpack
from harness.errors import UNPACKED, DamagedFile, HarnessError
from harness.results.companions import Companion, check_all, draft_of
from harness.results.judgements import FOLDER, RECORD, VERDICTS
from harness.results.paths import CellPaths, RunPaths, json_text, written
from harness.results.reading import AGAIN, read_object, read_plan

SUFFIX = ".tar.xz"
_SETTINGS = ("plan.json", "environment.json", "result.json")
"""Files that may contain paths of this machine; answers are never changed."""
_RECORDS = ("predictions.jsonl", "control.jsonl", "train_log.jsonl")
_NAME = re.compile(
    r"(plan|environment)\.json|judge/(judge\.json|verdicts\.jsonl)|cells/(?:(?!\.\.?/)[^/]+/)+(result\.json|[a-z_]+\.jsonl)"
)
"""A member's name. A folder in a folder: older versions did not escape a data set `owner/name`."""
_FOLDERS = re.compile(r"(?<![\w.:/~])~?/(?:[^\s/\"'<>|]+/)*([^\s/\"'<>|]+)")
"""An absolute path within a text; its last part is kept."""


SMALL_BYTES = 32 * 2**20
"""Contents up to this size are compressed as far as xz can, in seconds; of more it would take
minutes for a tenth of the size."""
SMALL_PRESET, LARGE_PRESET = 9 | lzma.PRESET_EXTREME, 1


def pack(run_dir: Path, output: Path) -> Path:
    """Write the run in ``run_dir`` to ``output`` as one file.

    Raises:
        HarnessError: there is no plan.json in ``run_dir``, or a file in it is damaged.
    """
    paths = RunPaths(run_dir)
    if not paths.plan.is_file():
        raise no_run(run_dir)
    keys = [entry["key"] for entry in read_plan(run_dir, given=str(run_dir))["cells"]]
    # of a judge its verdicts, without its words: they may quote the data, and no report reads them
    judge = [paths.directory / FOLDER / name for name in (RECORD, VERDICTS)]
    found = [paths.plan, paths.environment, *judge]
    homes = [paths.cell(key) for key in keys]
    found += [home.directory / name for home in homes for name in ("result.json", *_RECORDS)]
    for home in homes:
        # what `score` was killed before it renamed is put in place now: later it would be taken for
        # the work of another command
        if any(draft_of(home.directory / name).is_file() for name in _RECORDS):
            with suppress(DamagedFile):  # said below, where nobody is writing it
                _check_companions(home)
    before = [_identity(path) for path in found]

    def is_whole() -> bool:
        return [_identity(path) for path in found] == before

    for home in homes:
        try:
            _check_companions(home)
        except DamagedFile:
            if not is_whole():
                raise _replaced(output) from None
            raise
    stored = {str(p.relative_to(run_dir)): _content(p) for p in found if p.is_file()}
    # files are replaced, never changed: one of them in another place is another one, and a pack
    # of the old and the new would show answers beside scores that are not theirs
    write_archive(output, stored, whole=is_whole)
    return output


def _identity(path: Path) -> tuple[int, ...] | None:
    """What the file ``path`` is known by on this disk; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _check_companions(paths: CellPaths) -> None:
    """Refuse a cell whose tables are not those of its result: the copy would be as wrong."""
    if paths.result.is_file():
        stored = read_object(paths.result, hint=AGAIN).get("companions", {})
        check_all(paths, {name: Companion(**stored[name]) for name in _RECORDS if name in stored})


def no_run(directory: Path) -> HarnessError:
    """The error of a ``directory`` that no run was written to."""
    hint = "Give a directory that `harness run` wrote, such as runs/finance."
    return HarnessError(
        "no plan.json: this is not a run directory", where=str(directory), hint=hint
    )


@cache
def unpacked(path: Path) -> Path:
    """A temporary folder with the run packed in ``path``; it goes when the process ends.

    Raises:
        HarnessError: the file is no packed run.
    """
    name = path.name.removesuffix(SUFFIX)
    home = Path(tempfile.mkdtemp(dir=_temporary()))  # of its own, also in several threads
    # the folders keep the names of the packs, by which a report names several runs
    folder = home / (path.resolve().parent.name or "packed") / name
    folder.mkdir(parents=True)
    UNPACKED[str(folder)] = str(path)
    try:
        # unpacked within limits first: to list its members, tarfile would unpack any size of file
        plain = io.BytesIO(unpack(path, ".xz"))
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            members = archive.getmembers()
            if not all(m.isreg() and _NAME.fullmatch(m.name) for m in members):
                raise tarfile.TarError
            if sum(m.size for m in members) > len(plain.getbuffer()):
                raise tarfile.TarError  # a sparse member says any size, and holds nothing
            archive.extractall(folder, members, filter="data")
    # ValueError: a member's name with NUL, a size that is not a number
    except (tarfile.TarError, *BROKEN, ValueError):
        hint = "Give a file that `harness pack` wrote."
        raise HarnessError("this is not a packed run", where=str(path), hint=hint) from None
    return folder


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="harness-")


def _temporary() -> Path:
    return Path(_scratch().name)


def _content(path: Path) -> bytes | Path:
    """What is packed of ``path``: the file as it is, or its text without this machine's folders."""
    if path.name not in _SETTINGS:
        return path
    return json_text(portable(read_object(path, hint=AGAIN))).encode()


def portable(value: object) -> object:
    """``value`` with every absolute path in a text cut to its last part."""
    if isinstance(value, dict):
        return {k: v if k == "trivial" else portable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return _FOLDERS.sub(r"\1", value) if isinstance(value, str) else value


def write_archive(
    output: Path, stored: Mapping[str, bytes | Path], *, whole: Callable[[], bool] = lambda: True
) -> None:
    """Write the file that holds ``stored``, name → content or where it is.

    Equal contents give equal bytes. Files are read as they are written: a run of gigabytes needs
    no more memory than a small one.

    Args:
        output: The file.
        stored: Name → content or where it is.
        whole: Whether, at the end, the files are still those that were chosen.

    Raises:
        HarnessError: a file was replaced while it was packed.
    """
    try:
        size = sum(_size(content) for content in stored.values())
        preset = SMALL_PRESET if size <= SMALL_BYTES else LARGE_PRESET
        with written(output) as file:
            _write_archive(file, stored, preset)
            if not whole():
                raise _replaced(output)
    except FileNotFoundError as missing:
        if missing.filename in {str(c) for c in stored.values() if isinstance(c, Path)}:
            raise _replaced(output) from None
        raise


def _replaced(output: Path) -> HarnessError:
    hint = "Another command writes to the run: pack it when that has ended."
    what = "a file of the run was replaced while it was packed"
    return HarnessError(what, where=str(output), hint=hint)


def _write_archive(file: IO[bytes], stored: Mapping[str, bytes | Path], preset: int) -> None:
    with (
        lzma.open(file, "wb", preset=preset) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in sorted(stored.items()):
            entry = tarfile.TarInfo(name)
            with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as given:
                # of the file that is open: the one of its name may be another one by now
                entry.size = len(content) if isinstance(content, bytes) else _open_size(given)
                entry.mode = 0o644
                archive.addfile(entry, given)


def _open_size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
