"""Differences one step away from a variant that the test is too small to decide."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.analysis.difference import Criteria, Delta, difference
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.results.value import stored_directions
from harness.statistics import examples_needed as needed_for

AXES = ("adapter", "quantization", "model")
SHOWN = 3
"""Most open questions of a variant: those that the fewest examples would settle."""
Z95 = 1.96
"""A 95% interval reaches so many standard errors to either side."""
LEAST = 0.0005
"""Smaller differences would be written as ±0.000: none was seen."""


@dataclass(frozen=True)
class Undecided:
    """Two values of an axis, everything else equal, whose difference is not significant."""

    axis: str
    chosen: str
    other: str
    delta: Delta = field(repr=False)
    """The chosen one minus the other."""
    more: float | None
    """Further examples to see a difference of this size with 80% power; None if there is none."""


def undecided(board: Leaderboard, table: Table, row: Row) -> list[Undecided]:
    """The open questions next to ``row``, those that the fewest examples would settle first."""
    letters = table.ties.letters if table.ties else {}
    own = set(letters.get(row.name, ""))
    pairs = table.ties.pairs if table.ties else 1
    found = []
    for other in table.rows:
        axis = _step(row, other)
        if axis and own & set(letters.get(other.name, "")):
            delta = _difference(board, table, other, row)
            if delta is not None:
                values = (getattr(row, axis), getattr(other, axis))
                found.append(Undecided(axis, *values, delta, more_needed(delta, pairs)))
    return sorted(found, key=lambda each: (each.more is None, each.more))[:SHOWN]


def _step(row: Row, other: Row) -> str | None:
    """The axis on which the two differ, if it is a single one."""
    axes = [axis for axis in AXES if getattr(row, axis) != getattr(other, axis)]
    return axes[0] if len(axes) == 1 else None


def _difference(board: Leaderboard, table: Table, other: Row, row: Row) -> Delta | None:
    before, after = (
        {cell.seed: board.records(cell) for cell in side.finished} for side in (other, row)
    )
    if not all((*before.values(), *after.values())):
        return None
    cells = [*other.finished, *row.finished]
    criteria = Criteria(directions=stored_directions(cells))
    labels = next((cell.labels for cell in cells if cell.labels), ())
    return difference(table.primary_metric, before, after, criteria=criteria, labels=labels)


def more_needed(delta: Delta, comparisons: int = 1) -> float | None:
    """Further examples that would show a true difference of this size with 80% power.

    None if there is no difference to speak of, or no spread to judge by.

    Args:
        delta: The difference as this test sees it.
        comparisons: How many the level of 5% is shared by. Bonferroni's share, the strictest that
            Holm's correction can ask for: a promise of fewer examples could be broken.
    """
    error = (delta.high - delta.low) / 2 / Z95
    gap = abs(delta.delta)
    if error <= 0 or gap < LEAST:
        return None
    # over examples: with several seeds the interval holds their spread too, and more examples
    # do not narrow that part; so this is the least that is needed
    sd = error * math.sqrt(delta.n)
    return max(needed_for(gap, sd, alpha=0.05 / comparisons) - delta.n, 1)
