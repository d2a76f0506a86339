"""Verdicts from the interval of a difference, and letters of variants that tie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

Verdict = Literal["better", "worse", "equivalent", "undecided"]


def verdict(
    low: float,
    high: float,
    margin: float = 0.0,
    *,
    higher_is_better: bool = True,
    noise_floor: float = 0.0,
    delta: float | None = None,
) -> Verdict:
    """Return `better`, `worse`, `equivalent` or `undecided` from the interval of a difference.

    `better` or `worse` when the whole interval lies beyond the margin, `equivalent` when it lies
    within plus or minus a margin above 0, else `undecided`. A difference at or below the noise
    floor is never better or worse: two identical runs differ by as much.

    Args:
        low: Lower end of the interval of fine-tuned minus baseline.
        high: Upper end.
        margin: The smallest difference that matters, not negative, in the same unit.
        higher_is_better: The metric's direction.
        noise_floor: The difference two identical runs show, in the same unit.
        delta: The point estimate; the middle of the interval by default.

    Raises:
        ValueError: low exceeds high, an end is NaN, or margin or noise floor is negative.
    """
    if not low <= high or not margin >= 0 or not noise_floor >= 0:
        raise ValueError(f"no verdict on [{low}, {high}] at {margin} and {noise_floor}")
    if margin > 0 and -margin <= low and high <= margin:
        return "equivalent"
    # A strict comparison: an interval that touches the margin has not cleared it.
    point = (low + high) / 2 if delta is None else delta
    if -margin <= high and low <= margin:
        return "undecided"
    if noise_floor > 0 and abs(point) <= noise_floor:
        return "undecided"
    return "better" if (low > margin) == higher_is_better else "worse"


def tie_groups(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A compact letter display: two variants share a letter exactly when they are not different.

    Insert-absorb (Piepho 2004): start with one group of all; each differing pair splits every
    group that holds both into one without the first and one without the second; a group inside
    another is absorbed. Letters follow the order of `names`, so the first variant has `a`.

    Args:
        names: Variants in display order, each once.
        different: Pairs whose verdict is better or worse, in any order.

    Returns:
        Letters of each variant, such as `ab`.

    Raises:
        ValueError: a name repeats, or a pair names an unknown variant or one twice.
    """
    place = {name: i for i, name in enumerate(names)}
    if len(place) != len(names):
        raise ValueError("variant names must differ")
    groups = [frozenset(range(len(names)))]
    for first, second in different:
        if first == second or first not in place or second not in place:
            raise ValueError(f"no such pair of variants: {first!r}, {second!r}")
        groups = _split(groups, place[first], place[second])
    ordered = sorted(groups, key=sorted)
    return {
        name: "".join(_letter(k) for k, group in enumerate(ordered) if i in group)
        for name, i in place.items()
    }


def _split(groups: list[frozenset[int]], first: int, second: int) -> list[frozenset[int]]:
    parts: set[frozenset[int]] = set()
    for group in groups:
        both = first in group and second in group
        parts |= {group - {first}, group - {second}} if both else {group}
    return [group for group in parts if not any(group < other for other in parts)]


def _letter(k: int) -> str:
    """The letter of group k: a to z, then a1, b1 and so on."""
    return chr(ord("a") + k % 26) + (str(k // 26) if k >= 26 else "")
