"""Choices next to a variant that the test is too small to decide, and what would decide them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.analysis.contrasts import Contrast
from harness.analysis.difference import Delta
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.more_examples import LEAST
from harness.analysis.table import Row, Table
from harness.analysis.wording import about, brief
from harness.counting import agreeing, counted
from harness.metrics.meaning import title_of
from harness.statistics import examples_needed as needed_for
from harness.suite.schema import BASE

SHOWN = 3
"""Most open questions of a variant: those that the fewest examples would settle."""
Z95 = 1.96
"""A 95% interval reaches so many standard errors to either side."""


@dataclass(frozen=True)
class Undecided:
    """Two values of an axis whose difference, everything else equal, is not significant."""

    chosen: str
    other: str
    gap: float
    """The chosen one minus the other."""
    contrast: Contrast = field(repr=False)

    @property
    def more(self) -> float | None:
        """Further examples that would decide; None if more examples alone would not."""
        return self.contrast.more_examples


def undecided(board: Leaderboard, table: Table, row: Row) -> list[Undecided]:
    """The open questions next to ``row``, those that the fewest examples would settle first.

    They are those of the table by axis, which averages over the rest of the matrix: a single pair
    of variants would call undecided what the whole matrix decides.
    """
    found = [
        made
        for each in board.along.values()
        for contrast in each.contrasts
        if contrast.dataset == table.dataset
        and (made := _open(contrast, getattr(row, contrast.axis)))
    ]
    return sorted(found, key=lambda each: (each.more is None, each.more))[:SHOWN]


def _open(contrast: Contrast, value: str) -> Undecided | None:
    sides = (contrast.first, contrast.second)
    delta = contrast.delta
    # whether to fine-tune at all is what the headline answers
    if delta is None or delta.verdict != "undecided" or value not in sides or BASE in sides:
        return None
    if value == contrast.second:
        return Undecided(value, contrast.first, delta.delta, contrast)
    return Undecided(value, contrast.second, -delta.delta, contrast)


def why_no_gain(board: Leaderboard, table: Table, row: Row) -> str:
    """Why the difference of ``row`` to its baseline is not called a gain, in a few words."""
    delta = row.deltas[table.primary_metric]
    if delta.verdict == "worse":
        return "that is a loss"
    if delta.verdict == "equivalent":
        return "that is within the margin that the suite calls equivalent"
    if delta.units < 6:
        return (
            f"{counted(delta.units, 'independent example is', 'independent examples are')} too few"
            " for any verdict"
        )
    if abs(delta.delta) <= delta.noise_floor:
        return (
            "that is below the noise floor: answering the same examples again changes"
            f" {title_of(delta.metric)} by {brief(delta.noise_floor)}"
        )
    if not delta.low <= 0 <= delta.high:
        count = len(table.compared())
        return f"corrected for {counted(count, 'comparison')}, that may be chance"
    more, place = more_needed(board, table, row)
    # examples that share a question count as one: 160 of 10 questions tell no more than 10 can
    apart = f" ({delta.units} independent)" if delta.units < delta.n else ""
    if more is None:
        return (
            f"{counted(delta.n, 'example')}{apart} {agreeing(delta.n, 'does', 'do')} not show a"
            " difference"
        )
    return (
        f"{counted(delta.n, 'example')}{apart} cannot tell that from chance; a difference of that"
        f" size needs {about(more)} more{place}"
    )


def more_needed(board: Leaderboard, table: Table, row: Row) -> tuple[float | None, str]:
    """Further examples that would show the gain of ``row``, and what that number is for.

    Where the table by axis has the very same comparison, the number is the one given there. Its
    own family has another size, so a second number would contradict the first on one page. Where
    that table has the mean over several variants, the number is for the row alone, and says so.
    """
    delta = row.deltas[table.primary_metric]
    whole = _against_base(board, table, row)
    if whole is not None and whole.variants == (f"{row.model}, {row.quantization}",):
        return whole.more_examples, ""
    place = " for this variant alone" if whole is not None else ""
    return _more_for(delta, len(table.compared())), place


def _against_base(board: Leaderboard, table: Table, row: Row) -> Contrast | None:
    """The undecided contrast of the row's adapter with the untouched model, if there is one."""
    along = board.along.get("adapter")
    return next(
        (
            each
            for each in (along.contrasts if along else ())
            if (each.dataset, each.metric) == (table.dataset, table.primary_metric)
            and {each.first, each.second} == {BASE, row.adapter}
            and each.delta is not None
            and each.delta.verdict == "undecided"
        ),
        None,
    )


def _more_for(delta: Delta, comparisons: int) -> float | None:
    """Further examples that would show a true difference of this size with 80% power.

    None if there is no difference to speak of, or no spread to judge by.

    Args:
        delta: The difference as this test sees it.
        comparisons: How many the level of 5% is shared by, as in `more_examples`.
    """
    error = (delta.high - delta.low) / 2 / Z95
    gap = abs(delta.delta)
    if error <= 0 or gap < LEAST:
        return None
    # over examples: with several seeds the interval holds their spread too, and more examples
    # do not narrow that part; so this is the least that is needed
    sd = error * math.sqrt(delta.n)
    return max(needed_for(gap, sd, alpha=0.05 / comparisons) - delta.n, 1)
