"""Numbers as options: click takes `nan` and `inf` for numbers, and nothing compares with them."""

from __future__ import annotations

import math

import click


class FiniteNumber(click.ParamType):  # type: ignore[type-arg]
    """A number of zero or more that exists."""

    name = "number"

    def convert(self, value: object, param: object, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            self.fail(f'"{value}" is not a number of zero or more', None, ctx)
        return number


NUMBER = FiniteNumber()
