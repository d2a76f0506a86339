"""Which cells of a run a judge compares: each with its reference, on the same data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.results.result import CellResult
from harness.results.run import Run
from harness.suite.endpoint import SERVED


class Match(NamedTuple):
    """A cell and its reference."""

    first: CellResult
    """The reference."""
    second: CellResult


def matches(run: Run, against: str) -> list[Match]:
    """Every finished cell that writes texts, with the cell of adapter ``against`` beside it."""
    return list(_matches([c for c in run.cells if _writes(c)], against))


def _writes(cell: CellResult) -> bool:
    """Whether ``cell`` has answers in words: a label is right or wrong, whoever judges it."""
    return cell.status == "ok" and cell.task == "generation"


def _matches(cells: Sequence[CellResult], against: str) -> Iterator[Match]:
    for cell in cells:
        if cell.adapter == against:
            continue
        beside = [
            other
            for other in cells
            if other.dataset == cell.dataset
            and other.adapter == against
            and _place(cell) in ((other.model, other.quantization), (other.model, None))
        ]
        if beside:
            # equal seeds have the same order of data; else an untrained cell, which has no seed
            yield Match(min(beside, key=lambda other: _distance(other, cell)), cell)


def _place(cell: CellResult) -> tuple[str, str | None]:
    """The model and the quantization of a reference of ``cell``; None: any."""
    if cell.adapter != SERVED:
        return cell.model, cell.quantization
    endpoint = (cell.provenance.cell.get("model") or {}).get("endpoint") or {}
    return str(endpoint.get("baseline")), None


def _distance(other: CellResult, cell: CellResult) -> int:
    return 0 if other.seed == cell.seed else 1 if other.seed is None else 2
