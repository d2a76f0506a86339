"""The settings of the model that a cell left behind, for commands that ask or share it."""

from __future__ import annotations

from typing import Any

from harness.errors import HarnessError
from harness.results.result import CellResult


def model_record(result: CellResult) -> dict[str, Any]:
    """How the cell of ``result`` was run, as its result recorded it.

    Raises:
        HarnessError: there is no model: it failed or was skipped, or another tool ran it.
    """
    if result.status != "ok":
        raise HarnessError(f"{result.key} has no model: {result.reason or result.status}")
    if not result.provenance.cell:
        hint = "Name a cell that `harness run` trained."
        raise HarnessError(f"{result.key} was imported: its model is not here", hint=hint)
    return result.provenance.cell
