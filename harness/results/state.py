"""The state of a run directory as one hash: whether what was rendered is of what is there now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness import __version__
from harness.errors import DamagedFile
from harness.results.paths import RunPaths, read_json, write_json
from harness.results.reading import read_plan

NAME = "report.json"
"""Beside the reports of a run: the state that they show."""


def state_of(directory: Path) -> str:
    """A hash of the plan, the machine and every result, and of the version that renders them.

    Raises:
        FileNotFoundError: there is no plan.
        DamagedFile: it is not a plan.
    """
    paths = RunPaths(directory)
    digest = hashlib.sha256(__version__.encode())
    results = [
        paths.cell(entry["key"]).result
        for entry in read_plan(directory, given=str(directory))["cells"]
    ]
    for path in (paths.plan, paths.environment, *results):
        # a result that is not there is a state, too: the page shows the cell as missing
        content = path.read_bytes() if path.is_file() else b"-"
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def is_shown(directory: Path) -> bool:
    """Whether the reports in ``directory`` were rendered, to the last file, of its state now."""
    try:
        noted = read_json(directory / NAME)
        there = all((directory / name).is_file() for name in noted.get("files", ()))
        return bool(there and noted["state"] == state_of(directory))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedFile):
        return False  # no report, or a damaged one: it costs seconds to render it again


def forget_shown(directory: Path) -> None:
    """Say that the reports in ``directory`` are of no certain state: they are being written."""
    (directory / NAME).unlink(missing_ok=True)


def note_shown(directory: Path, state: str, *, files: Sequence[str]) -> None:
    """Note that ``files`` in ``directory`` show ``state``; written when they are all there."""
    write_json(directory / NAME, {"schema": 1, "state": state, "files": list(files)})
