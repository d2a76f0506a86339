"""Which examples a variant won and lost against another, and the worst regressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.metrics.prediction import Prediction, Records
from harness.metrics.registry import direction_of, example_metric
from harness.scoring.scoring import is_parsed


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
    regressions: tuple[Flip, ...]
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
    pairs = {
        i: (record["scores"][name], second[i]["scores"][name])
        for i, record in first.items()
        if name in record["scores"] and i in second and name in second[i]["scores"]
    }
    if not pairs or direction is None:
        return None
    shared = list(pairs)
    sign = 1 if direction else -1
    change = {i: sign * (after - before) for i, (before, after) in pairs.items()}
    binary = all(score in (0.0, 1.0) for pair in pairs.values() for score in pair)
    worse = [i for c, i in sorted((c, i) for i, c in change.items() if c < 0)]
    won = sum(c > 0 for c in change.values())
    return Flips(
        name,
        won=won,
        lost=len(worse),
        both_right=sum(pair == (1.0, 1.0) for pair in pairs.values()) if binary else None,
        both_wrong=sum(pair == (0.0, 0.0) for pair in pairs.values()) if binary else None,
        tied=len(pairs) - len(worse) - won,
        unparsed_first=_unparsed(first, shared),
        unparsed_second=_unparsed(second, shared),
        regressions=tuple(Flip(i, -change[i], first[i], second[i]) for i in worse),
    )


def _unparsed(side: Records, shared: list[str]) -> int | None:
    flags = [parsed for i in shared if (parsed := is_parsed(side[i])) is not None]
    return flags.count(False) if flags else None
