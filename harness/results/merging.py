"""Several runs as one, for a report over machines and days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.results.result import CellResult, Run


def merged(runs: Sequence[Run], *, name: str | None = None) -> Run:
    """``runs`` as one; a single run is given back as it is.

    Cells that stand in several runs under the same axes are told apart by their run: the model's
    name gets the run's in front. Claims and sources are kept side by side.
    """
    if len(runs) == 1:
        return runs[0]
    seen = Counter(axes for run in runs for axes in {_axes(cell) for cell in run.cells})
    names = _names(runs)
    cells: list[CellResult] = []
    homes: dict[str, Path] = {}
    for run, label in zip(runs, names, strict=True):
        for cell in run.cells:
            home = run.homes.get(cell.key, run.directory)
            if seen[_axes(cell)] > 1:
                cell = replace(cell, model=f"{label}: {cell.model}")
            if cell.key in homes and homes[cell.key] != home:
                continue  # the very same cell, copied
            homes[cell.key] = home
            cells.append(cell)
    suite: dict[str, Any] = {
        "name": name or " + ".join(names),
        "description": "",
        "path": " ".join(str(run.suite.get("path")) for run in runs),
        "claims": [claim for run in runs for claim in run.suite.get("claims", ())],
        "objectives": runs[0].suite.get("objectives", {}),
    }
    sources = [run.suite["source"] for run in runs if run.suite.get("source")]
    if sources:
        suite["sources"] = sources
    return Run(runs[0].directory, suite, runs[0].environment, tuple(cells), homes)


def _names(runs: Sequence[Run]) -> list[str]:
    """Each run's name; equal ones are told apart by their folders."""
    names = [str(run.suite["name"]) for run in runs]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{run.directory.parent.name}/{run.directory.name}" if name in twice else name
        for name, run in zip(names, runs, strict=True)
    ]


def _axes(cell: CellResult) -> tuple[Any, ...]:
    return tuple(cell.axes.values())
