"""What one value of an axis costs as a multiple of another: latency, memory and training time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.analysis.objectives import LATENCY, MEMORY, RESERVED
from harness.analysis.training_devices import is_training_speed, training_devices
from harness.metrics.registry import find
from harness.results.result import CellResult
from harness.statistics import mean_ratio

COSTS: Mapping[str, tuple[str, ...]] = {
    "latency": (LATENCY,),
    "memory": (*MEMORY, RESERVED),
    "training time": ("train_seconds",),
}
"""Cost → the metrics that it is read from, in order of preference."""
CellPairs = Mapping[tuple[str, str, int | None], tuple[CellResult, CellResult]]
"""Variant, data set and seed → the cells of both sides."""
LEVELS = ("variants", "data sets", "seeds")
"""What the parts of the keys of `CellPairs` are."""


@dataclass(frozen=True)
class CostRatio:
    """Second over first in one cost, the geometric mean over pairs of cells."""

    metric: str
    ratio: float
    low: float | None
    """Lower end of the 95% interval; None if only one pair was measured."""
    high: float | None
    n: int
    """How many things the interval counts as independent."""
    unit: str
    """What they are: `variants`, `data sets` or `seeds`, or `pair` where there is only one."""
    pairs: int
    """Pairs of cells that were measured on both sides, on one kind of machine."""


def cost_ratios(pairs: CellPairs) -> dict[str, CostRatio]:
    """Cost → its ratio over ``pairs``; costs that no pair has on both sides are left out."""
    found = {}
    for cost, metrics in COSTS.items():
        for metric in metrics:
            ratio = _ratio(metric, pairs)
            if ratio is not None:
                found[cost] = ratio
                break  # memory of the device and of the process are different things
    return found


def _ratio(metric: str, pairs: CellPairs) -> CostRatio | None:
    measured = {
        key: after / before
        for key, (first, second) in pairs.items()
        if (before := _value(metric, first)) and (after := _value(metric, second))
        if _same_machine(metric, first, second)
    }
    found = mean_ratio(measured)
    if found is None:
        return None
    unit = LEVELS[found.level] if found.level >= 0 else "pair"
    return CostRatio(metric, found.ratio, found.low, found.high, found.n, unit, len(measured))


def _value(metric: str, cell: CellResult) -> float | None:
    value = cell.value(metric)
    return value.value if value else None


def _same_machine(metric: str, first: CellResult, second: CellResult) -> bool:
    """Whether the two values may be compared: speed only where the hardware is known and equal."""
    record = find(metric)
    if record is None or not record.same_hardware:
        return True
    if is_training_speed(metric) and training_devices(first) != training_devices(second):
        return False
    return bool(first.hardware) and first.hardware == second.hardware
