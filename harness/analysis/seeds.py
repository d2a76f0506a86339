"""Which training seeds of two sides stand together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Side = TypeVar("Side")


def seed_pairs(
    before: Mapping[int | None, Side], after: Mapping[int | None, Side]
) -> list[tuple[Side, Side]]:
    """The sides seed by seed: those of one number together, the others left out.

    A side without a seed has no training noise and stands beside every seed of the other. Where
    no number is shared, seeds stand together in their order: trainings are exchangeable, so that
    one pairing is as good as another. A seed's side is its records, or what was made of them.
    """
    if set(before) == {None}:
        return [(before[None], side) for side in after.values()]
    if set(after) == {None}:
        return [(side, after[None]) for side in before.values()]
    shared = [(before[seed], after[seed]) for seed in before if seed in after]
    return shared or list(zip(before.values(), after.values(), strict=False))


def covered(
    before: Mapping[int | None, object], after: Mapping[int | None, object], count: int
) -> str:
    """What an interval over ``count`` pairs of seeds covers, and how they pair."""
    strangers = {None} not in (set(before), set(after)) and not before.keys() & after.keys()
    return f"examples and {count} seeds{', paired in order: none is shared' if strangers else ''}"
