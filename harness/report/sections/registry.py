"""The registry of report sections: a function that returns a `Section`, and its part.

A plug-in adds a section like this::

    @section("details")
    def rambling(board: Leaderboard, table: Table) -> Section: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from harness.report.section import Section

Part = Literal["opening", "data set", "details", "closing"]
"""The part of a report that a section belongs to, in reading order.

`opening`: before all data sets. `data set`: with the leaderboard of each data set. `details`: after
all leaderboards, again for each data set. `closing`: at the end. Functions of `opening` and
`closing` are called with the leaderboard, the others with it and the table of a data set.
"""
SECTIONS: dict[Part, list[Callable[..., Section]]] = {
    "opening": [], "data set": [], "details": [], "closing": [],
}  # fmt: skip
"""Part → its functions, in the order of registration."""
F = TypeVar("F", bound=Callable[..., Any])


def section(part: Part) -> Callable[[F], F]:
    """Register the decorated function as the last section of ``part``.

    A section without rows, notes and figures is left out of the report.
    """

    def declare(function: F) -> F:
        SECTIONS[part].append(function)
        return function

    return declare
