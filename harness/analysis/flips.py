"""Which examples a variant won and lost against another, and the worst regressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from harness.analysis.columns import Floats, aligned, ids_of, parsed_in, scores_in
from harness.metrics.prediction import Prediction, Records
from harness.metrics.registry import direction_of, example_metric


@dataclass(frozen=True)
class Flip:
    """One example on which the second side does worse than the first."""

    id: str
    loss: float
    """How much worse, in the metric's unit; positive."""
    first: Prediction
    second: Prediction


@dataclass(frozen=True)
class Flips:
    """The examples of a pair, counted by who did better in one metric."""

    metric: str
    won: int
    lost: int
    both_right: int | None
    """None if scores are not simply right or wrong; see `tied`."""
    both_wrong: int | None
    tied: int
    """Equal scores, right and wrong ones included."""
    unparsed_first: int | None
    """Answers in which no number or label was found; None if none is looked for."""
    unparsed_second: int | None
    regressions: Sequence[Flip]
    """Worst first, ties by id."""


def flips(
    first: Records,
    second: Records,
    metric: str,
    *,
    directions: Mapping[str, bool | None] | None = None,
) -> Flips | None:
    """The flips from ``first`` to ``second`` in ``metric``.

    A corpus metric has no score per example: macro-F1 uses the flips of `accuracy`. None if there
    are no scores, or if the metric's direction is not declared.

    Args:
        first: The records of one side.
        second: The records of the other.
        metric: The metric.
        directions: Directions of unregistered metrics, as stored with the results.
    """
    name = example_metric(metric)
    direction = direction_of(name, directions)
    ids = ids_of(first)
    before, after = (aligned(scores_in(side, name), side, ids) for side in (first, second))
    shared = ~(np.isnan(before) | np.isnan(after))
    if not shared.any() or direction is None:
        return None
    change = np.where(shared, (1 if direction else -1) * (after - before), 0.0)
    won, lost = np.count_nonzero(change > 0), np.count_nonzero(change < 0)
    binary = bool(np.isin(np.concatenate([before[shared], after[shared]]), (0.0, 1.0)).all())
    right, wrong = ((before == score) & (after == score) for score in (1.0, 0.0))
    return Flips(
        name,
        won=int(won),
        lost=int(lost),
        both_right=int(np.count_nonzero(right)) if binary else None,
        both_wrong=int(np.count_nonzero(wrong)) if binary else None,
        tied=int(np.count_nonzero(shared) - won - lost),
        unparsed_first=_unparsed(parsed_in(first)[shared]),
        unparsed_second=_unparsed(aligned(parsed_in(second), second, ids)[shared]),
        regressions=Regressions(first, second, change),
    )


def _unparsed(parsed: Floats) -> int | None:
    """How many answers were looked into in vain; None if nothing was looked for in any."""
    return None if np.isnan(parsed).all() else int(np.count_nonzero(parsed == 0))


class Regressions(Sequence[Flip]):
    """The examples that got worse, worst first, ties by id; sorted when they are asked for.

    Of the pairs of a report only the counts are shown, and of a few the first examples.
    """

    def __init__(self, first: Records, second: Records, change: Floats) -> None:
        """Take both sides and how much better the second scored each example of the first."""
        self._sides = first, second
        self._change = change
        self._places = np.flatnonzero(change < 0)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, wanted: int) -> Flip: ...

    @overload
    def __getitem__(self, wanted: slice) -> Sequence[Flip]: ...

    def __getitem__(self, wanted: int | slice) -> Flip | Sequence[Flip]:
        """One example, or a tuple of them."""
        if isinstance(wanted, slice):
            start, stop, step = wanted.indices(len(self))
            worst = self._worst(max(start + 1, stop))
            return tuple(self._flip(*worst[k]) for k in range(start, stop, step))
        place = range(len(self))[wanted]  # an IndexError where there is none
        return self._flip(*self._worst(place + 1)[place])

    def __iter__(self) -> Iterator[Flip]:
        return iter(self[:])  # sorted once, not for each

    def _worst(self, count: int) -> list[tuple[float, str]]:
        """The first ``count`` changes with their ids."""
        places = self._places
        if count < len(places):
            last = np.partition(self._change[places], count - 1)[count - 1]
            places = places[self._change[places] <= last]
        ids = ids_of(self._sides[0])
        return sorted((float(self._change[k]), ids[k]) for k in places)[:count]

    def _flip(self, change: float, i: str) -> Flip:
        first, second = self._sides
        return Flip(i, -change, first[i], second[i])
