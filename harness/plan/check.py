"""Every problem of a suite in one go: keys, names, data, metrics, modules; nothing is run.

Reading a file as a suite finds wrong keys and values. `suite_check` looks up what is left of it:
the names of models, quantizations, adapters and data sets, the rows of the data, the modules that
adapters target. Each problem carries its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, SuiteError
from harness.plan.expand import expand
from harness.plan.suite_check import Depth as Depth
from harness.plan.suite_check import SuiteCheck
from harness.suite.loading import by_line, read_suite
from harness.suite.schema import Suite


@dataclass(frozen=True)
class Checked:
    """What a check of a suite found."""

    problems: tuple[str, ...]
    """Each as ``file:line: key: what``, in the order of the lines."""
    notes: tuple[str, ...]
    """Data that was not read, and how files were read where they decided."""
    suite: Suite | None
    """The suite, where nothing is wrong with it."""
    cells: int = 0
    """Cells of the suite, where they were asked for."""


def checked_suite(path: Path) -> Suite:
    """The suite in ``path``, its keys and names checked; its data only where these are wrong.

    Raises:
        SuiteError: something is wrong with it: all of it, the data's problems among them.
    """
    found = check_suite(path, Depth(data=False, cells=False))
    if found.suite is None:
        raise SuiteError(check_suite(path, Depth(cells=False)).problems)
    return found.suite


def check_suite(path: Path, depth: Depth) -> Checked:
    """Every problem of the suite in ``path``, as far as ``depth`` looks.

    Raises:
        HarnessError: the file is absent, no YAML, or holds no keys.
    """
    read = read_suite(path)
    if read.suite is None:
        return Checked(tuple(read.problems), (), None)
    check = SuiteCheck(read.file, read.suite, depth, tuple(read.problems))
    problems = by_line([*read.problems, *check.problems()])
    cells = 0
    if depth.cells and not problems:
        try:
            cells = len(expand(read.suite, path))
        except HarnessError as error:  # what only whole cells show, such as an empty matrix
            problems = [str(error)]
    suite = None if problems else read.suite
    return Checked(tuple(problems), tuple(dict.fromkeys(check.notes)), suite, cells)
