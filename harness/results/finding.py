"""A cell of a run, found by the beginning of its key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.counting import counted
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.results.result import CellResult

SHOWN = 4
"""Keys that a message names; a run has hundreds."""


def cells_named(
    cells: Sequence[CellResult], name: str, directory: Path | None = None
) -> list[CellResult]:
    """Those of ``cells`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none; the message carries the nearest key.
    """
    found = [cell for cell in cells if cell.key.startswith(name)]
    if not found:
        where = None if directory is None else str(directory)
        hint = did_you_mean(name, [cell.key for cell in cells])
        raise HarnessError(f'no cell "{name}"', where=where, hint=hint)
    return found


def cell_named(cells: Sequence[CellResult], name: str, directory: Path | None = None) -> CellResult:
    """The one of ``cells`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none, or there are several.
    """
    found = cells_named(cells, name, directory)
    if len(found) > 1:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        hint = f"Give more of the name: {', '.join(cell.key for cell in found[:SHOWN])}{more}."
        raise HarnessError(f'"{name}" matches {counted(len(found), "cell")}', hint=hint)
    return found[0]
