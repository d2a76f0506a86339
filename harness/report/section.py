"""A section as data, no markup, and how numbers are written in one."""

from __future__ import annotations

from dataclasses import dataclass

from harness.compare import Delta
from harness.leaderboard import Row

MISSING = "–"


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    title: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def number(value: float) -> str:
    """``value`` to four significant digits, integers whole."""
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def optional(value: float | int | None) -> str:
    """``value`` as `number` writes it, or a dash."""
    return MISSING if value is None else number(value)


def show_delta(delta: Delta) -> str:
    """``+0.123 [+0.050, +0.190]``."""
    return f"{delta.delta:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"


def mean_text(row: Row, metric: str) -> str:
    """The mean over seeds with its spread, or a dash."""
    mean, spread = row.mean(metric), row.spread(metric)
    if mean is None:
        return MISSING
    text = number(mean)
    return f"{text} ± {number(spread)}" if spread is not None else text
