"""What a run directory holds that nothing refers to any more: cells of earlier settings, drafts."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from harness.errors import DamagedFile, HarnessError
from harness.results.locking import drafts_in, locked, remove_draft
from harness.results.paths import RunPaths
from harness.results.reading import read_plan


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

    What a run has planned since it was found, and what is written just now, stays.

    Raises:
        HarnessError: another process writes to it, or its plan cannot be read any more.
    """
    with locked(run.directory):
        planned = planned_folders(run)
        for path, _ in found:
            if path.parent != run.directory and path.name in planned:
                continue
            if path.is_symlink():
                path.unlink(missing_ok=True)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                remove_draft(path)


def planned_folders(run: RunPaths) -> set[str]:
    """The folders under ``cells/`` that the plan of ``run`` names.

    Raises:
        HarnessError: the plan is missing or cannot be read. Without it nothing may be deleted.
    """
    try:
        cells = read_plan(run.directory, given=str(run.directory))["cells"]
    except FileNotFoundError:
        hint = "Give its directory by -o."
        what = "no plan.json: there is no run of the suite here"
        raise HarnessError(what, where=str(run.directory), hint=hint) from None
    except DamagedFile as error:
        raise HarnessError(f"{error}: nothing is deleted") from None
    return {Path(cell["key"]).parts[0] for cell in cells}


def _is_under(path: Path, folders: Collection[Path]) -> bool:
    return any(folder in path.parents for folder in folders)


def _size(path: Path) -> int:
    # `walk` passes over a folder that a run deletes meanwhile, and so is a file
    inside = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sum(map(_bytes, inside or [path]))


def _bytes(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return 0 if stat.S_ISDIR(found.st_mode) else found.st_size
