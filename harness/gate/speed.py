"""How the gate compares speeds across runs on one machine that may be busy.

Next to every speed a fixed computation is timed, the *reference work* (`reference_ms`). A speed is
compared as a multiple of it, so that a slower machine cancels out. Training speed has no reference
work, because other cells may train at the same time; it is compared as measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.gate.baseline import CellSnapshot
from harness.metrics.registry import direction_of, find
from harness.results.measured import is_shared

REFERENCE = "reference_ms"
BY_ROUND = {"latency_p50_ms": "latency_ratio", "latency_ratio": "latency_ratio"}
"""Speed → the metric that holds it as a multiple of the reference work, computed in each round."""
BUSY_RATIO = 1.5
"""The machine was busy if its reference work took this many times as long as in the other run.

On a quiet machine it repeats within a few per cent (docs/measuring.md).
"""


def mean(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    """The mean over ``cells``, None where one has no value that should have it."""
    own = [cell for cell in cells if not is_elsewhere(metric, cell)]
    values = [cell.values.get(metric) for cell in own]
    measured = [value for value in values if value is not None]
    # a mean over the seeds that happen to have a value would compare different seeds
    return sum(measured) / len(measured) if measured and len(measured) == len(values) else None


def is_elsewhere(metric: str, cell: CellSnapshot) -> bool:
    """Whether ``metric`` of ``cell`` is measured in another cell of the variant, and only there."""
    return cell.measured_in is not None and metric not in cell.values and is_shared(metric)


def measured_elsewhere(metric: str, cells: Sequence[CellSnapshot]) -> str | None:
    """The row that ``metric`` of ``cells`` is measured in, if they do not measure it at all."""
    done = [cell for cell in cells if cell.status == "ok"]
    if not done or not all(is_elsewhere(metric, cell) for cell in done):
        return None
    return done[0].measured_in if done[0].measured_in != done[0].row else None


def unit(metric: str) -> str:
    """The unit of what `relative` returns."""
    record = find(metric)
    return "× the reference work" if _beside(metric) else record.unit if record else ""


def _beside(metric: str) -> bool:
    """Whether the reference work is timed along with ``metric``."""
    record = find(metric)
    return record is not None and record.beside_reference


def has_reference(metric: str, cells: Sequence[CellSnapshot]) -> bool:
    """Whether every value of ``metric`` that needs the reference work has it."""
    return not _beside(metric) or all(
        cell.values.get(REFERENCE) for cell in cells if metric in cell.values
    )


def relative(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    """The mean over seeds, of a speed as a multiple of its reference work."""
    if metric in BY_ROUND or not _beside(metric):
        return mean(BY_ROUND.get(metric, metric), cells)
    value, reference = mean(metric, cells), mean(REFERENCE, cells)
    if value is None or not reference:
        return None
    return value * reference if direction_of(metric) else value / reference


def load_excuse(
    metric: str, times: float, allowed: float, new: Sequence[CellSnapshot],
    old: Sequence[CellSnapshot],
) -> str | None:  # fmt: skip
    """Return a reason to blame the slowdown on machine load, or None.

    Two things speak for load. A model that really is slower is slower in its best round too. And
    load slows the reference work by at least as much as it can change a ratio to it.

    Args:
        metric: The speed that was compared.
        times: How many times as slow it is now.
        allowed: How many times as slow it may be.
        new: The row's cells in the run.
        old: The row's cells in the baseline.
    """
    least = f"{BY_ROUND.get(metric, metric)}_least"
    best, former = mean(least, new), mean(least, old)
    if best and former:
        times = best / former
        if times <= allowed:
            return f"its best round took only {times:.2f} times the baseline's best: machine load?"
    now, before = mean(REFERENCE, new), mean(REFERENCE, old)
    if not now or not before or max(now, before) / min(now, before) <= max(BUSY_RATIO, times):
        return None
    if now > before:
        return (
            f"the machine was busy: the reference work ran {now / before:.1f}× slower than before"
        )
    text = "the machine was busy when the baseline was recorded"
    return f"{text}: the reference work ran {before / now:.1f}× slower; record a new baseline"
