"""The win rate of one variant over another: the same number for a judge's verdicts and for votes.

A question scores 1 for the side that won it, 0 for the other, and a half for both if neither did.
This is how AlpacaEval and Chatbot Arena count ties. Leaving ties out would call two variants
that hardly differ far apart as soon as the few other questions fall to one side.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.difference import Criteria, Delta, Seeds, difference

WINS = "judge_win"
"""The name that an outcome has as a score."""


class WinRate(NamedTuple):
    """Share won, ties half, with the ends of its 95% interval; 0.5 means no difference."""

    rate: float
    low: float
    high: float


def win_difference(first: Seeds, second: Seeds) -> Delta | None:
    """Share won minus share lost by ``second``, tested as any other paired difference.

    Args:
        first: Training seed → records whose score `WINS` is that of the first side.
        second: The same of the second side; both scores of a question add up to 1.
    """
    return difference(WINS, first, second, criteria=Criteria(directions={WINS: True}))


def win_rate(delta: Delta) -> WinRate:
    """The win rate that belongs to a difference of shares."""
    rate, low, high = ((1 + end) / 2 for end in (delta.delta, delta.low, delta.high))
    return WinRate(rate, max(0.0, low), min(1.0, high))
