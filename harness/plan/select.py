"""`--select`: which cells an expression names."""

from __future__ import annotations

from fnmatch import fnmatchcase

from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.registry import did_you_mean
from harness.suite.schema import AXES


def matches(cell: Cell, expression: str | None) -> bool:
    """Whether ``cell`` meets every term of ``expression``.

    Terms are separated by commas, each ``axis=pattern`` with shell wildcards and ``|`` between
    alternatives: ``model=tiny-*,adapter=base|lora-r8``.

    Raises:
        HarnessError: a term has no ``=`` or names no axis.
    """
    for term in filter(None, (part.strip() for part in (expression or "").split(","))):
        axis, equals, patterns = term.partition("=")
        if not equals or axis not in AXES:
            raise HarnessError(
                f'--select: "{term}" is not axis=pattern',
                hint=f"{did_you_mean(axis, AXES)} Example: --select 'model=tiny-*'.",
            )
        if axis == "seed" and cell.seed is None:
            continue
        value = str(dict(cell.axes)[axis])
        if not any(fnmatchcase(value, pattern) for pattern in patterns.split("|")):
            return False
    return True
