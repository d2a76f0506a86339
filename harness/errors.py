"""Errors a user can fix, printed without a traceback.

HarnessError            anything the user can fix: what is wrong, where, what to do next
├── SuiteError          all problems of one suite or model file, reported in one go
├── DamagedFile         a file of a run that cannot be read; `harness run` keeps it aside
├── NoBaseline          the gate has nothing to compare with: exit code 3, not 2
└── AllSkipped          no cell can run here, and a run with results would be emptied: exit code 4
SkipCell                a cell cannot run on this machine: its reason goes to the leaderboard
"""

from __future__ import annotations

from collections.abc import Sequence

CELL_FAILED = 4
"""Exit code of `run` and `check` when a cell failed: 1 is a regression alone."""
UNFIT = 5
"""Exit code of `doctor` when this machine cannot do what is asked of it."""
UNPACKED: dict[str, str] = {}
"""Temporary folder of a packed run → the file that was given. A message names the file: the folder
is gone when it is read."""


def _as_given(text: str | None) -> str | None:
    for folder, file in UNPACKED.items():
        text = text and text.replace(folder, file)
    return text


class HarnessError(Exception):
    """A problem that the user can fix: what is wrong, where, and what to do."""

    exit_code = 2
    """Exit code of a command that ends with this error."""

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = _as_given(what) or ""
        self.where = _as_given(where)
        self.hint = _as_given(hint)
        super().__init__(self._text())

    def _text(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.hint}" if self.hint else head


class SuiteError(HarnessError):
    """Every problem of one file, each as ``file:line: key: message``."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DamagedFile(HarnessError):
    """A file of a run is there and cannot be read: cut, edited, or of another version."""


class NoBaseline(HarnessError):
    """There is no baseline, so a regression can neither be found nor excluded."""

    exit_code = 3


class AllSkipped(HarnessError):
    """No cell can run here, and writing that down would hide results that are there."""

    exit_code = CELL_FAILED


class SkipCell(Exception):
    """The cell cannot run here; the message is the reason shown on the leaderboard."""
