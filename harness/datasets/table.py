"""Raw rows and where each of them is, so that a message can name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RawRow = dict[str, object]
"""Column → value, as the file has it."""


@dataclass(frozen=True)
class Table:
    """The rows of one file or built-in set."""

    rows: Sequence[RawRow]
    where: str
    """The file, or the name of the set."""
    lines: Sequence[int] | None = None
    """The line of each row, where the file has lines."""
    notes: tuple[str, ...] = ()
    """How the file was read where that is not the usual: its separator, its encoding."""

    def place(self, index: int) -> str:
        """``file:line`` of the row at ``index``, or ``file: row 3``."""
        if self.lines is not None:
            return f"{self.where}:{self.lines[index]}"
        return f"{self.where}: row {index + 1}"

    @property
    def columns(self) -> list[str]:
        """Every key of any row, in the order met: one may be missing from the first row."""
        return list(dict.fromkeys(key for row in self.rows for key in row))
