"""How the training seeds of two sides are paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from harness.counting import counted

T = TypeVar("T")
"""What a side holds for a seed: its records, or something computed from them."""


def seed_pairs(before: Mapping[int | None, T], after: Mapping[int | None, T]) -> list[tuple[T, T]]:
    """Pair equal seeds and leave out the others.

    A side whose only seed is None was not trained; it is paired with every seed of the other. If
    the sides share no seed, they are paired in order: trainings are exchangeable, so any pairing
    is as valid as another.
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
    """What an interval over ``count`` pairs of seeds covers, and how the seeds are paired."""
    unshared = {None} not in (set(before), set(after)) and not before.keys() & after.keys()
    return (
        "examples and"
        f" {counted(count, 'seed')}{', paired in order: none is shared' if unshared else ''}"
    )
