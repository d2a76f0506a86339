"""Scales of the page's own charts: from a value to its place in percent, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PAD = 6.0
"""Empty margin inside a plot, in percent, so that no point lies on its edge."""
TICKS = 5
"""About so many ticks on an axis."""
WIDE = 20.0
"""Values that differ by more than this factor are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float
    """In percent of the plot."""
    text: str


@dataclass(frozen=True)
class Scale:
    """From a value to its place in the plot, in percent."""

    low: float
    high: float
    logarithmic: bool = False
    unit: float = 1.0
    """Ticks are round multiples of it: 1024 for MiB written as GiB."""

    def place(self, value: float) -> float:
        """The place of ``value``."""
        low, high, at = (math.log(v) if self.logarithmic else v
                         for v in (self.low, self.high, value))  # fmt: skip
        if high <= low:
            return 50.0
        return round(PAD + (at - low) / (high - low) * (100 - 2 * PAD), 2)

    def ticks(self, show: Callable[[float], str]) -> tuple[Tick, ...]:
        """Round values within the scale, written by ``show``."""
        texts = {show(value): value for value in self._round()}
        return tuple(Tick(self.place(value), text) for text, value in texts.items())

    def _round(self) -> list[float]:
        if self.high <= self.low:
            return [self.low]
        low, high = self.low / self.unit, self.high / self.unit
        if self.logarithmic:
            first = math.floor(math.log10(low))
            tens = [m * 10.0**k for k in range(first, first + 12) for m in (1, 2, 5)]
            return [value * self.unit for value in tens if low <= value <= high]
        step = _step((high - low) / TICKS)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [k * step * self.unit for k in range(first, last + 1)]


def _step(rough: float) -> float:
    """The round number nearest above ``rough``: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough - 1e-12)


def scale_of(values: Sequence[float], *, logarithmic: bool = False, unit: float = 1.0) -> Scale:
    """The scale of ``values``; logarithmic only if they are wide apart and positive."""
    low, high = min(values), max(values)
    return Scale(low, high, logarithmic and low > 0 and high / low > WIDE, unit)
