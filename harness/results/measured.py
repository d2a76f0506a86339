"""Where a variant's speed was measured, and what its other cells may show of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.metrics.registry import find

if TYPE_CHECKING:
    from harness.results.result import CellResult
    from harness.results.run import Run


@dataclass(frozen=True)
class MeasuredIn:
    """The cell that measures the speed of a variant: the one on this data set, with this seed."""

    dataset: str
    seed: int | None
    """None: a baseline, which is not trained."""
    key: str | None = None
    """Of that cell, where the run holds it: `--select` may have left it out."""

    def __str__(self) -> str:
        return self.dataset if self.seed is None else f"{self.dataset}, seed {self.seed}"

    @property
    def record(self) -> dict[str, object]:
        """As ``plan.json`` holds it."""
        return {"dataset": self.dataset, "seed": self.seed}


@dataclass(frozen=True)
class Speeds:
    """Speeds that were measured in another cell of the same model, quantization and adapter."""

    place: MeasuredIn
    cell: CellResult | None
    """The cell that has them; None if there is nothing to show."""
    reason: str | None = None
    """Why there is nothing to show."""


def is_shared(metric: str) -> bool:
    """Whether ``metric`` is measured once for all cells of a variant."""
    record = find(metric)
    return record is not None and record.per_variant


def shared_speeds(run: Run, cell: CellResult) -> Speeds | None:
    """What another cell measured for ``cell``; None if it measures by itself.

    A value is shown only if the measuring cell ended well on the same hardware. Nothing takes its
    place otherwise: the speed of another variant, or of another machine, would be a guess.
    """
    place = run.measured_in.get(cell.key)
    if place is None:
        return None
    lender = next((other for other in run.cells if other.key == place.key), None)
    if lender is None:
        return Speeds(place, None, f"it is measured on {place}, which is not part of this run")
    if lender.status != "ok":
        text = f"the cell that measures it, on {place}, has no result"
        return Speeds(place, None, f"{text}: {lender.reason or lender.status}")
    if lender.hardware != cell.hardware:
        return Speeds(place, None, f"it was measured on {place}, on other hardware")
    if not any(is_shared(value.metric) for value in lender.values):
        return Speeds(place, None, f"the cell that measures it, on {place}, has no speed")
    return Speeds(place, lender)


def measured_in_of_plan(entries: list[dict[str, Any]]) -> dict[str, MeasuredIn]:
    """Cell key → where its speed is measured instead, from the cells of ``plan.json``.

    Cells that measure by themselves are not in it: in runs of older versions, that is all of them.
    """
    keys = {_axes(entry): str(entry["key"]) for entry in entries}
    found = {}
    for entry in entries:
        record = entry.get("measured_in")
        if record is not None:
            place = MeasuredIn(str(record["dataset"]), record["seed"])
            key = keys.get(_axes({**entry, **place.record}))
            found[str(entry["key"])] = replace(place, key=key)
    return found


def _axes(entry: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(entry[axis] for axis in ("model", "quantization", "adapter", "dataset", "seed"))
