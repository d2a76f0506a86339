"""The state of a run directory as one hash: whether what was rendered is of what is there now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness import __version__
from harness.errors import DamagedFile
from harness.results.paths import RunPaths, bytes_in, read_json, write_json
from harness.results.reading import READINGS, changed_meanwhile, read_plan
from harness.results.writable import refuse_read_only

NAME = "report.json"
"""Beside the reports of a run: the state that they show."""
LONGEST_WRITING = 60.0
"""Seconds to wait for another report to be written; that takes a few, of ten thousand cells."""


def state_of(directory: Path) -> str:
    """A hash of the plan, the machine and every result, and of the version that renders them.

    Raises:
        FileNotFoundError: there is no plan.
        DamagedFile: it is not a plan.
    """
    return _state_under(directory, read_plan(directory, given=str(directory)))


def _state_under(directory: Path, plan: Mapping[str, Any]) -> str:
    """`state_of` a directory whose ``plan`` has been read."""
    paths = RunPaths(directory)
    digest = hashlib.sha256(__version__.encode())
    results = [paths.cell(entry["key"]).result for entry in plan["cells"]]
    for path in (paths.plan, paths.environment, *results):
        # a result that is not there is a state, too: the page shows the cell as missing
        content = bytes_in(path)
        digest.update(hashlib.sha256(b"-" if content is None else content).digest())
    return digest.hexdigest()[:16]


def plan_and_state(directory: Path, *, given: str) -> tuple[dict[str, Any], str]:
    """The plan of the run in ``directory``, and the state that the directory then was in.

    The state is taken before any result is read: what changes since is another state. It must be
    the state of this very plan, which a run that begins now may write anew.

    Args:
        directory: The run directory.
        given: What the user named: the directory, or the packed file that it came from.

    Raises:
        FileNotFoundError: there is no plan.
        DamagedFile: it is not a plan.
    """
    path = RunPaths(directory).plan
    for _ in range(READINGS):
        before = bytes_in(path)
        plan = read_plan(directory, given=given)
        state = _state_under(directory, plan)
        if bytes_in(path) == before:
            return plan, state
    raise changed_meanwhile(directory)


def is_shown(directory: Path) -> bool:
    """Whether the reports in ``directory`` were rendered, to the last file, of its state now."""
    try:
        noted = read_json(directory / NAME)
        there = all((directory / name).is_file() for name in noted.get("files", ()))
        return bool(there and noted["state"] == state_of(directory))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedFile):
        return False  # no report, or a damaged one: it costs seconds to render it again


@contextmanager
def one_report(directory: Path) -> Iterator[None]:
    """Let one process at a time write the reports in ``directory``, if it is a run's own.

    Two at once (`report` at the end of a `run`) could leave the page of the older state under the
    note of the newer one, and nobody would render it again. The lock is not that of the run, which
    is held for hours.
    """
    if not RunPaths(directory).plan.is_file():
        yield  # nothing is noted here
        return
    refuse_read_only(directory)
    lock = FileLock(directory / f".{NAME}.lock")
    # the lock of another user's file may be refused, a file system may have none, and a process
    # that is stopped holds it for good: a report is written all the same
    with suppress(OSError, NotImplementedError):  # the latter by filelock 3.16
        lock.acquire(timeout=LONGEST_WRITING)
    try:
        yield
    finally:
        lock.release()


def forget_shown(directory: Path) -> None:
    """Say that the reports in ``directory`` are of no certain state: they are being written."""
    (directory / NAME).unlink(missing_ok=True)


def note_shown(directory: Path, state: str, *, files: Sequence[str]) -> None:
    """Note that ``files`` in ``directory`` show ``state``; written when they are all there."""
    write_json(directory / NAME, {"schema": 1, "state": state, "files": list(files)})
