"""`--select`: which cells an expression names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.registry import did_you_mean
from harness.suite.schema import AXES


def refuse_unmatched(cells: Sequence[Cell], expression: str | None) -> None:
    """Refuse a pattern of ``expression`` that fits no value of its axis: it is misspelt.

    One that fits beside it would hide it, and a seed would select the baselines, which have none.

    Raises:
        HarnessError: it fits none, a term has no ``=`` or it names no axis.
    """
    for axis, patterns in _terms(expression):
        known = {str(value) for cell in cells if (value := dict(cell.axes)[axis]) is not None}
        for pattern in patterns:
            if not any(fnmatchcase(value, pattern) for value in known):
                raise HarnessError(
                    f'--select: no {axis} matches "{pattern}"', hint=did_you_mean(pattern, known)
                )


def matches(cell: Cell, expression: str | None) -> bool:
    """Whether ``cell`` meets every term of ``expression``.

    Terms are separated by commas, each ``axis=pattern`` with shell wildcards and ``|`` between
    alternatives: ``model=tiny-*,adapter=base|lora-r8``.

    Raises:
        HarnessError: a term has no ``=`` or names no axis.
    """
    for axis, patterns in _terms(expression):
        if axis == "seed" and cell.seed is None:
            continue
        value = str(dict(cell.axes)[axis])
        if not any(fnmatchcase(value, pattern) for pattern in patterns):
            return False
    return True


def _terms(expression: str | None) -> Iterator[tuple[str, list[str]]]:
    """Each term's axis and its patterns."""
    for term in filter(None, (part.strip() for part in (expression or "").split(","))):
        axis, equals, patterns = term.partition("=")
        if not equals or axis not in AXES:
            raise HarnessError(
                f'--select: "{term}" is not axis=pattern',
                hint=f"{did_you_mean(axis, AXES)} Example: --select 'model=tiny-*'.",
            )
        yield axis, patterns.split("|")
