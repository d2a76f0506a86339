"""What every comparison decides in the same way: its noise floor, and Holm over its family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.analysis.difference import Delta
from harness.statistics import holm

ALPHA = 0.05
"""An adjusted p-value above it leaves a difference undecided."""


def noise_floor(noise: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Metric → the largest noise floor that was measured on any cell of either side.

    A floor that is too low calls noise a gain, one that is too high leaves a gain undecided: of
    several the largest is the safe one.
    """
    floors: dict[str, float] = {}
    for measured in noise:
        for metric, value in measured.items():
            floors[metric] = max(value, floors.get(metric, 0.0))
    return floors


def holm_over(
    members: Iterable[Mapping[str, Delta]], metrics: Iterable[str] | None = None
) -> list[dict[str, Delta]]:
    """The differences of each member with p-values adjusted over all members, metric by metric.

    A difference whose adjusted p-value is above `ALPHA`, or that has none, is never better or
    worse. One without a p-value stays out of the family.

    Args:
        members: Metric → difference of each member of the family.
        metrics: The metrics that are judged as a family; default all.
    """
    family = [dict(deltas) for deltas in members]
    wanted = {metric for deltas in family for metric in deltas} if metrics is None else metrics
    for metric in sorted(wanted):
        _adjust(family, metric)
    return family


def _adjust(family: Sequence[dict[str, Delta]], metric: str) -> None:
    holders = [deltas for deltas in family if metric in deltas]
    tested = [deltas for deltas in holders if deltas[metric].p_value is not None]
    p_values = holm([deltas[metric].p_value or 0.0 for deltas in tested])
    adjusted = {id(deltas): p for deltas, p in zip(tested, p_values, strict=True)}
    for deltas in holders:
        deltas[metric] = _with_adjusted(deltas[metric], adjusted.get(id(deltas)))


def _with_adjusted(delta: Delta, p_adjusted: float | None) -> Delta:
    shown = p_adjusted is not None and p_adjusted <= ALPHA
    open_ = delta.verdict not in ("better", "worse") or shown
    return replace(delta, p_adjusted=p_adjusted, verdict=delta.verdict if open_ else "undecided")
