"""The picture of a data set: quality against memory, latency or training time, as data for HTML.

It is drawn with positioned elements and not as one SVG: text keeps its size on a phone, a point is
a link that the keyboard reaches, and a switch of the cost moves points without a drawing library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.decision import Decision
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import LATENCY, memory_metrics
from harness.analysis.table import Row, Table
from harness.analysis.wording import brief, duration, memory
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.metrics.registry import find
from harness.report.page.points import Line, Point, apart, band, front, with_company
from harness.report.page.scale import Tick, scale_of
from harness.report.section import anchor
from harness.suite.schema import BASE

MANY_MIB = 2000.0
"""Memory up to here is written in MiB, and in GiB above."""
BOUNDED = {"share", "F1", "F2"}
TRAINING, ENERGY = "train_seconds", "energy_j_per_1k_tokens"


@dataclass(frozen=True)
class Axis:
    """One cost as the picture's horizontal axis."""

    name: str
    """`memory`, `latency`, `training`, `energy`."""
    title: str
    ticks: tuple[Tick, ...]
    front: str
    """The Pareto front as an SVG path in percent, from the top left."""


@dataclass(frozen=True)
class Picture:
    """All that is drawn of one data set."""

    dataset: str
    metric: str
    higher_is_better: bool
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    band: tuple[float, float] | None
    """Bottom and top of the levels between which rows tie with the best."""
    smallest: float | None = None
    """Least and most memory of any variant, in MiB: the ends of the limit."""
    largest: float | None = None


def picture(
    board: Leaderboard, table: Table, decision: Decision, numbers: Mapping[str, int]
) -> Picture | None:
    """The picture of ``table``; None with fewer than two scored rows or without any cost.

    Args:
        board: The leaderboard that the table is of.
        table: The data set's table.
        decision: What is recommended there.
        numbers: Variant → its number in the page.
    """
    rows = [row for row in table.rows if row.mean(table.primary_metric) is not None]
    costs = {name: found for name, found in _costs(table, rows).items() if len(found) > 1}
    if len(rows) < 2 or not costs or table.higher_is_better is None:
        return None
    drawing = _Drawing(table, rows, costs, decision, numbers)
    points = with_company([drawing.point(row) for row in rows], [row.name for row in rows])
    memories = [point.memory for point in points if point.memory is not None]
    return Picture(
        table.dataset, title_of(table.primary_metric), table.higher_is_better,
        tuple(
            Axis(name, _title(table, name), drawing.across[name].ticks(_SHOW[name]),
                 front(points, name, table.higher_is_better))
            for name in costs
        ),
        tuple(points), drawing.up.ticks(brief), tuple(drawing.lines()), band(points),
        min(memories, default=None), max(memories, default=None),
    )  # fmt: skip


class _Drawing:
    """The scales of a picture, and what is placed on them."""

    def __init__(
        self, table: Table, rows: Sequence[Row], costs: Mapping[str, Mapping[str, float]],
        decision: Decision, numbers: Mapping[str, int],
    ) -> None:  # fmt: skip
        self.table, self.costs, self.decision, self.numbers = table, costs, decision, numbers
        # of other examples a trivial answer has another score
        self.trivial = table.trivial() if table.test_sets < 2 else {}
        self.tied = _tied(table)
        spans = [end for row in rows for end in _span(table, row)]
        self.up = scale_of([*spans, *self.trivial.values()])
        self.across = {
            name: scale_of(list(found.values()), logarithmic=True, unit=_unit(name, found))
            for name, found in costs.items()
        }

    def point(self, row: Row) -> Point:
        """The point of ``row``."""
        low, quality, high = _span(self.table, row)
        chosen = self.decision.row
        return Point(
            number=self.numbers[row.name],
            href=f"#{anchor(self.table.dataset, row.name)}",
            text=_text(self.table, row, self.costs),
            quality=quality,
            y=self.up.place(quality), low=self.up.place(low), high=self.up.place(high),
            x={name: self.across[name].place(found[row.name])
               for name, found in self.costs.items() if row.name in found},
            memory=self.costs.get("memory", {}).get(row.name),
            base=row.adapter == BASE,
            tied=row.name in self.tied,
            chosen=chosen is not None and row.name == chosen.name,
        )  # fmt: skip

    def lines(self) -> list[Line]:
        """The levels of the trivial answers and of the chosen variant's baseline."""
        found = [Line("trivial", self.up.place(score), f"{answer}: {brief(score)}")
                 for answer, score in self.trivial.items()]  # fmt: skip
        base = self.decision.row.baseline if self.decision.row else None
        value = base.value(self.table.primary_metric) if base else None
        if value is not None and value.value is not None:
            text = f"untouched: {brief(value.value)}"
            found.append(Line("base", self.up.place(value.value), text))
        return apart(found)


def _tied(table: Table) -> set[str]:
    """The best row and those that share a tie letter with it."""
    best = table.best()
    if best is None or table.ties is None:
        return set()
    own = set(table.ties.letters.get(best.name, ""))
    return {name for name, letters in table.ties.letters.items() if own & set(letters)}


def _costs(table: Table, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Cost → variant → its value; times only if one machine measured all of them."""
    names = memory_metrics(table)
    found = {"memory": {r.name: m for r in rows for m in [_first(r, names)] if m is not None}}
    if len(table.machines()) < 2:
        for cost, metric in (("latency", LATENCY), ("training", TRAINING), ("energy", ENERGY)):
            if metric == TRAINING and len(table.numbers_of_devices()) > 1:
                continue
            if len(table.measured_on(metric)) < 2:  # prompts of other data sets are other work
                found[cost] = {r.name: v for r in rows if (v := r.mean(metric)) is not None}
    return found


def _unit(cost: str, found: Mapping[str, float]) -> float:
    if cost != "memory":
        return 1.0
    # ticks are written in GiB from 1024 MiB on, and must be round as they are written
    return 1024.0 if max(found.values()) > MANY_MIB or min(found.values()) >= 1024 else 1.0


def _first(row: Row, metrics: Sequence[str]) -> float | None:
    return next((value for name in metrics if (value := row.mean(name)) is not None), None)


def _seconds(value: float) -> str:
    return f"{value / 60:.3g} min" if value >= 120 else f"{value:.3g} s"


def _joules(value: float) -> str:
    return f"{value:.3g} J"


_SHOW: dict[str, Callable[[float], str]] = {
    "memory": memory, "latency": duration, "training": _seconds, "energy": _joules,
}  # fmt: skip


def _elsewhere(table: Table) -> str:
    places = table.measured_on(LATENCY) - {table.dataset}
    return f", measured on {', '.join(sorted(places))}" if places else ""


def _title(table: Table, cost: str) -> str:
    metric = memory_metrics(table)[0]
    where = {"infer_peak_vram_mib": "GPU memory while answering",
             "train_reserved_vram_mib": "GPU memory reserved in training"}  # fmt: skip
    measured = any(row.values(metric) for row in table.rows)
    return {
        "memory": where[metric] if measured else "memory of the process while answering",
        "latency": f"time for one answer (median){_elsewhere(table)}", "training": "training time",
        "energy": "energy for 1,000 tokens",
    }[cost]  # fmt: skip


def _span(table: Table, row: Row) -> tuple[float, float, float]:
    """Lower end, mean and upper end: the interval over examples, or ± one deviation over seeds."""
    metric = table.primary_metric
    mean, spread = row.mean(metric) or 0.0, row.spread(metric)
    values = [v for c in row.finished if (v := c.value(metric)) and v.value is not None]
    low, high = values[0].ci_low, values[0].ci_high
    if spread is not None:
        low, high = mean - spread, mean + spread
    record = find(metric)
    if record and record.unit in BOUNDED and low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)
    return (mean if low is None else low, mean, mean if high is None else high)


def _text(table: Table, row: Row, costs: Mapping[str, Mapping[str, float]]) -> str:
    metric = table.primary_metric
    low, mean, high = _span(table, row)
    seeds = len(row.finished)
    n = next((v.n for c in row.finished if (v := c.value(metric)) and v.n), None)
    what = (
        f"± one standard deviation over {counted(seeds, 'seed')}"
        if seeds > 1
        else "95% over examples"
    )
    ends = f", {brief(low)} to {brief(high)} ({what})" if high > low else ""
    parts = [f"{row.name}: {title_of(metric)} {brief(mean)}{ends}"]
    parts += [f"n = {n}"] if n else []
    delta = row.deltas.get(metric)
    parts += [f"{delta.delta:+.3f} over its baseline: {delta.verdict}"] if delta else []
    parts += [f"{name} {_SHOW[name](found[row.name])}" for name, found in costs.items()
              if row.name in found]  # fmt: skip
    return "; ".join(parts)
