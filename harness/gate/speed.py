"""How a gate compares speeds: as multiples of the reference work, and what other load explains.

The reference work is fixed, and timed where the speed is (`reference_ms`); training is timed with
other cells beside it, and compared as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.gate.baseline import CellSnapshot
from harness.metrics.registry import direction_of, find

REFERENCE = "reference_ms"
BY_ROUND = {"latency_p50_ms": "latency_ratio", "latency_ratio": "latency_ratio"}
"""A speed → the same as a multiple of the reference work, taken round by round."""
LOADED = 1.5
"""The reference work is the same everywhere: a machine that takes so many times as long for it as
at another time is busy, or was."""


def mean(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    """The mean over ``cells``, None where one has no value."""
    found = [cell.values.get(metric) for cell in cells]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def unit(metric: str) -> str:
    """What `relative` counts in."""
    record = find(metric)
    return "× the reference work" if _beside(metric) else record.unit if record else ""


def _beside(metric: str) -> bool:
    """Whether the reference work is timed beside ``metric``."""
    record = find(metric)
    return record is not None and record.beside_reference


def has_reference(metric: str, cells: Sequence[CellSnapshot]) -> bool:
    """Whether every value of ``metric`` that needs the reference work has it."""
    return not _beside(metric) or all(
        cell.values.get(REFERENCE) for cell in cells if metric in cell.values
    )


def relative(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    """The mean over seeds; of a speed as a multiple of the reference work timed beside it."""
    if metric in BY_ROUND or not _beside(metric):
        return mean(BY_ROUND.get(metric, metric), cells)
    value, reference = mean(metric, cells), mean(REFERENCE, cells)
    if value is None or not reference:
        return None
    return value * reference if direction_of(metric) else value / reference


def doubt(
    metric: str, times: float, allowed: float, new: Sequence[CellSnapshot],
    old: Sequence[CellSnapshot],
) -> str | None:  # fmt: skip
    """Why what is ``times`` as slow, of ``allowed``, may be other load; None where nothing is.

    A slower model is slow in its best round too; and other load slows the reference work at least
    as much as it can change a ratio to it.
    """
    least = f"{BY_ROUND.get(metric, metric)}_least"
    best, former = mean(least, new), mean(least, old)
    if best and former:
        times = best / former
        if times <= allowed:
            return f"its best round took {times:.2f} times the former best"
    now, before = mean(REFERENCE, new), mean(REFERENCE, old)
    if not now or not before or max(now, before) / min(now, before) <= max(LOADED, times):
        return None
    if now > before:
        return f"the machine took {now / before:.1f} times as long for the reference work"
    text = f"the baseline was under load: {before / now:.1f} times as long for the reference work"
    return f"{text}; record a new one"
