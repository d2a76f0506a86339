"""Arguments of the API's functions: a run may be a `Run` or a path, and a path text or a `Path`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.plugins import load_plugins
from harness.results.packing import no_run
from harness.results.paths import RunPaths
from harness.results.run import Run
from harness.results.run import load_run as read_run

StrPath = str | os.PathLike[str]
"""A path, as text or as a `Path`."""
RunLike = Run | StrPath
"""A run, or where it is: its directory, or the file that `harness pack` wrote."""


def load_run(directory: StrPath) -> Run:
    """The run in ``directory``, or in a file that `harness pack` wrote.

    Raises:
        HarnessError: there is no run.
    """
    load_plugins()
    try:
        return read_run(Path(directory))
    except FileNotFoundError as error:
        if error.filename and Path(error.filename).name != RunPaths(Path(directory)).plan.name:
            raise  # another file than the plan: this is a run directory
        raise no_run(Path(directory)) from None


def run_of(run: RunLike) -> Run:
    """``run``, read if it is a path."""
    if isinstance(run, Run):
        load_plugins()
        return run
    return load_run(run)


def is_packed(run: RunLike) -> bool:
    """Whether ``run`` is the file that `harness pack` wrote, and no directory."""
    return not isinstance(run, Run) and Path(run).is_file()


def refuse_packed(run: RunLike, what: str, hint: str) -> None:
    """Refuse a packed ``run``, which holds no adapters and takes no files.

    Raises:
        HarnessError: it is one: ``what``, with ``hint``.
    """
    if is_packed(run):
        raise HarnessError(what, where=str(run), hint=hint)


def listed(runs: RunLike | Sequence[RunLike]) -> list[RunLike]:
    """``runs`` as a list: one run is a list of one."""
    found = [runs] if isinstance(runs, Run | str | os.PathLike) else list(runs)
    if not found:
        raise HarnessError("no run given", hint="Give a run, or the directory of one.")
    return found
