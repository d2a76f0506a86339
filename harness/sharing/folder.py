"""A folder that is written for others: a new one, and the files that are copied into it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

from harness.errors import HarnessError


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        HarnessError: ``folder`` is a file, or is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HarnessError("the folder is not empty", where=str(folder), hint="Give another one.")


def copy_files(source: Path, target: Path, patterns: Collection[str]) -> set[str]:
    """Copy the files of ``source`` that match one of ``patterns`` to ``target``; their names."""
    target.mkdir(parents=True, exist_ok=True)
    found = {
        path.name
        for path in source.iterdir()
        if path.is_file() and any(fnmatchcase(path.name, pattern) for pattern in patterns)
    }
    for name in sorted(found):
        shutil.copyfile(source / name, target / name)
    return found
