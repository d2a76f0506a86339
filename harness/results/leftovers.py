"""What a run directory holds that nothing refers to any more: cells of earlier settings, drafts."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from harness.results.locking import drafts_in, locked
from harness.results.paths import RunPaths


class Leftover(NamedTuple):
    """A file or a folder that nothing refers to."""

    path: Path
    size: int
    """Bytes, of a folder with all that is in it."""


def leftovers(run: RunPaths, keys: Collection[str]) -> list[Leftover]:
    """What is in ``run`` besides its reports, its caches and the cells named ``keys``.

    Damaged files that were kept aside stay: somebody may want them.
    """
    found = [path for path in _folders(run.cells) if path.name not in keys]
    inside = tuple(found)
    # what TensorBoard would go on drawing beside the cells that there are
    boards = run.trackers / "tensorboard"
    kept = {*keys, run.directory.resolve().name}
    found += [path for path in _folders(boards) if path.name not in kept]
    found += [p for p in sorted(drafts_in(run.directory)) if not _is_under(p, inside)]
    return [Leftover(path, _size(path)) for path in found]


def _folders(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir()) if place.is_dir() else []


def remove(run: RunPaths, found: Collection[Leftover]) -> None:
    """Delete ``found``, under the lock of the run directory.

    Raises:
        HarnessError: another process writes to it.
    """
    with locked(run.directory):
        for path, _ in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _is_under(path: Path, folders: Collection[Path]) -> bool:
    return any(folder in path.parents for folder in folders)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
