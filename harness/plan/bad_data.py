"""The data of the cells that will run, read before any of them starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.datasets.sources import sources_of
from harness.datasets.splits import prepare
from harness.errors import HarnessError, SuiteError
from harness.plan.cell import Cell


def refuse_bad_data(cells: Sequence[Cell], path: Path) -> None:
    """Read the data of ``cells``, each set once, but for sets on the hub.

    Raises:
        SuiteError: every problem of it.
    """
    entries = {cell.dataset.model_dump_json(): cell for cell in cells}
    problems: list[str] = []
    for cell in entries.values():
        folder = Path(cell.base_folder)
        if any(source.needs_network for source in sources_of(cell.dataset, folder)):
            continue
        try:
            prepare(cell.dataset, folder)
        except HarnessError as error:
            problems += error.problems if isinstance(error, SuiteError) else [str(error)]
    if problems:
        hint = "`harness validate` names the lines of the suite."
        raise SuiteError([f"{path}: the data cannot be used:", *problems, f"  {hint}"])
