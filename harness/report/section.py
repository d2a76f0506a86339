"""A section as data, no markup, and how numbers are written in one."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

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
    anchors: tuple[str, ...] = ()
    """What links name each row by, where anything does."""
    figures: tuple[Any, ...] = ()
    """Charts below the table (`harness.report.charts.Figure`)."""


def anchor(*parts: str) -> str:
    """``parts`` as one name that a link can hold; the same parts give the same name."""
    text = "-".join(parts).lower()
    kept = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:60]
    return f"{kept}-{zlib.crc32(text.encode()):08x}" if len(parts) > 1 else kept or "section"


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
