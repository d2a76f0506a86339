"""Points and level lines of a picture, and how those that meet are kept legible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.wording import joined

CLOSE = 7.0
"""Lines nearer than this, in percent of the plot, have no room for a text between them."""
SAME = 1.0
"""Points nearer than this in both directions, in percent of the plot, cover each other."""
NAMED = 3
"""So many points at one place are named; of more, the number."""


@dataclass(frozen=True)
class Point:
    """One variant."""

    number: int
    """The variant's number in the page."""
    href: str
    text: str
    """Every value with n, for a tooltip and a screen reader."""
    quality: float
    y: float
    low: float
    high: float
    """The interval's ends, in percent like y."""
    x: Mapping[str, float]
    """Cost → place in percent."""
    memory: float | None
    """MiB, for the limit."""
    base: bool
    tied: bool
    """Whether it does not differ significantly from the best."""
    chosen: bool
    """Whether it is the variant that the decision names."""


@dataclass(frozen=True)
class Line:
    """A level to compare with."""

    kind: str
    """`base` or `trivial`."""
    y: float
    text: str
    under: bool = False
    """Whether its text is below the line, because another line is close above."""
    crowded: bool = False
    """Whether its text does not fit into the picture and is in the key alone."""


def apart(lines: Sequence[Line]) -> list[Line]:
    """``lines`` from the top down; of two that are close, the lower one's text goes below it.

    A third one close to both keeps its line alone: the key below the picture has its text.
    """
    placed: list[Line] = []
    for line in sorted(lines, key=lambda line: -line.y):
        close = bool(placed) and placed[-1].y - line.y < CLOSE
        crowded = close and placed[-1].under
        placed.append(replace(line, under=close, crowded=crowded))
    return placed


def with_company(points: Sequence[Point], names: Sequence[str]) -> list[Point]:
    """Points whose text names the others at their place, of which a reader sees only the topmost.

    Moving them apart would draw costs and scores that nobody measured.
    """
    made = []
    for point in points:
        company = []
        for other, name in zip(points, names, strict=True):
            same = [cost for cost, x in point.x.items()
                    if cost in other.x and abs(other.x[cost] - x) < SAME]  # fmt: skip
            if other is not point and same and abs(other.y - point.y) < SAME:
                company.append(f"{name} ({joined(same)})")
        more = [f"{len(company) - NAMED} more"] if len(company) > NAMED else []
        also = f"; at the same place: {joined([*company[:NAMED], *more])}" if company else ""
        made.append(replace(point, text=point.text + also))
    return made


def band(points: Sequence[Point]) -> tuple[float, float] | None:
    """Bottom and top of the levels of tied points; None for fewer than two."""
    levels = [point.y for point in points if point.tied]
    return (min(levels), max(levels)) if len(levels) > 1 else None


def front(points: Sequence[Point], cost: str, higher: bool) -> str:
    """A staircase through the points that no other beats in quality and in this cost."""
    sign = 1 if higher else -1
    known = sorted(((p.x[cost], sign * p.y) for p in points if cost in p.x),
                   key=lambda at: (at[0], -at[1]))  # fmt: skip
    corners: list[tuple[float, float]] = []
    for x, worth in known:
        if not corners or worth > corners[-1][1]:
            corners.append((x, worth))
    if len(corners) < 2:
        return ""
    first, *rest = corners
    steps = "".join(f"H{x:.1f}V{100 - sign * worth:.1f}" for x, worth in rest)
    return f"M{first[0]:.1f} {100 - sign * first[1]:.1f}{steps}"
