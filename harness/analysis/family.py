"""Noise floor and Holm's correction: the same rule for the leaderboard, `compare` and the gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.analysis.difference import Delta
from harness.statistics import holm

ALPHA = 0.05
"""With an adjusted p-value above this level a difference is undecided."""


def noise_floor(noise: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Metric → the largest noise floor measured on any cell of either side.

    The largest is the safe choice: a floor too low would call noise a gain, one too high only
    leaves a gain undecided.
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

    A difference is better or worse only with an adjusted p-value of at most `ALPHA`. One without a
    p-value does not count as a member of the family.

    Args:
        members: Metric → difference of each member of the family.
        metrics: The metrics that are judged as a family; default all.
    """
    family = [dict(deltas) for deltas in members]
    judged = {metric for deltas in family for metric in deltas} if metrics is None else metrics
    for metric in sorted(judged):
        _adjust(family, metric)
    return family


def holm_list(deltas: Sequence[Delta]) -> list[Delta]:
    """``deltas`` as one family, whatever their metrics: each with its adjusted p-value."""
    tested = [i for i, delta in enumerate(deltas) if delta.p_value is not None]
    p_values = holm([deltas[i].p_value or 0.0 for i in tested])
    adjusted = dict(zip(tested, p_values, strict=True))
    return [_with_adjusted(delta, adjusted.get(i)) for i, delta in enumerate(deltas)]


def _adjust(family: Sequence[dict[str, Delta]], metric: str) -> None:
    holders = [deltas for deltas in family if metric in deltas]
    adjusted = holm_list([deltas[metric] for deltas in holders])
    for deltas, delta in zip(holders, adjusted, strict=True):
        deltas[metric] = delta


def _with_adjusted(delta: Delta, p_adjusted: float | None) -> Delta:
    significant = p_adjusted is not None and p_adjusted <= ALPHA
    stays = delta.verdict not in ("better", "worse") or significant
    return replace(delta, p_adjusted=p_adjusted, verdict=delta.verdict if stays else "undecided")
