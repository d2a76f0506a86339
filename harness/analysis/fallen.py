"""What got worse: metrics, categories and controls of one variant that fell beyond noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.analysis.difference import Criteria, Delta, difference
from harness.analysis.family import holm_over, noise_floor
from harness.analysis.flips import Flips
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.wording import interval, signed
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.metrics.prediction import Records
from harness.metrics.registry import find
from harness.results.value import stored_directions

Kind = Literal["metric", "category", "control"]


@dataclass(frozen=True)
class Fall:
    """One value that got worse beyond noise."""

    kind: Kind
    name: str
    """The metric's name in a sentence; for a category, the category's."""
    delta: Delta

    @property
    def text(self) -> str:
        """`category taxes: −0.120 ROUGE-L (95% −0.200 to −0.040, 9 examples)`."""
        title = title_of(self.delta.metric)
        name = f"category {self.name}: " if self.kind == "category" else ""
        said = title.startswith("control ")
        place = " on the control set" if self.kind == "control" and not said else ""
        n = counted(self.delta.n, "example")
        return f"{name}{signed(self.delta.delta)} {title}{place} ({interval(self.delta)}, {n})"


@dataclass(frozen=True)
class Fallen:
    """What got worse for one variant, and what was looked at."""

    falls: tuple[Fall, ...]
    metrics: int = 0
    """How many metrics were compared."""
    categories: int = 0
    """How many categories could be compared; the others have too few examples."""
    skipped_categories: int = 0
    controls: int = 0
    flips: Flips | None = None
    """The first seed's answers against the baseline's."""
    by_category: Mapping[str, Delta] = field(default_factory=dict)
    """Category → the difference there, with Holm's correction over the categories."""


def fallen(board: Leaderboard, table: Table, row: Row) -> Fallen | None:
    """Everything that ``row`` does worse than its baseline; None if it has none."""
    if row.baseline is None or not row.deltas:
        return None
    before = board.records(row.baseline)
    by_category = _categories(board, table, row)
    judged = {name: delta for name, delta in by_category.items() if delta is not None}
    adjusted = dict(zip(judged, holm_over([{d.metric: d} for d in judged.values()]), strict=True))
    falls = metric_falls(row)
    for name, deltas in adjusted.items():
        falls += [Fall("category", name, d) for d in deltas.values() if d.verdict == "worse"]
    falls += control_falls(row)
    flips = table.flips(before, board.records(row.finished[0])) if row.finished else None
    return Fallen(
        tuple(falls), len(_metrics(row)), len(judged), len(by_category) - len(judged),
        len(row.control), flips,
        {name: delta for name, deltas in adjusted.items() for delta in deltas.values()},
    )  # fmt: skip


def metric_falls(row: Row) -> list[Fall]:
    """The metrics in which ``row`` is worse than its baseline, beyond noise."""
    return [Fall("metric", name, d) for name, d in _metrics(row).items() if d.verdict == "worse"]


def control_falls(row: Row) -> list[Fall]:
    """The same on the control set."""
    return [Fall("control", name, d) for name, d in row.control.items() if d.verdict == "worse"]


def _metrics(row: Row) -> dict[str, Delta]:
    """The differences with a direction: without one, nothing can get worse."""
    return {n: d for n, d in row.deltas.items() if d.higher_is_better is not None}


def _categories(board: Leaderboard, table: Table, row: Row) -> dict[str, Delta | None]:
    """Category → the difference in the primary metric on its examples alone.

    None where no difference could be significant: fewer than six independent examples.
    """
    assert row.baseline is not None
    metric = table.primary_metric
    record = find(metric)
    if record is not None and record.corpus is not None:
        metric = record.per_example  # a corpus value of a few examples is mostly resampling noise
    sides: tuple[dict[int | None, Records], dict[int | None, Records]] = (
        {row.baseline.seed: board.records(row.baseline)},
        {cell.seed: board.records(cell) for cell in row.finished},
    )
    cells = (row.baseline, *row.finished)
    floor = noise_floor(cell.noise.floor for cell in cells)
    margin = float(row.finished[0].evaluation("margin") or 0)
    criteria = Criteria(margin, noise=floor, directions=stored_directions(cells))
    found: dict[str, Delta | None] = {}
    for name in _names(board.records(row.baseline)):
        before, after = ({s: _only(r, name) for s, r in side.items()} for side in sides)
        delta = difference(metric, before, after, criteria=criteria)
        found[name] = delta if delta and delta.units >= criteria.fewest else None
    return found


def _names(records: Records) -> list[str]:
    """The categories, in the order of the examples."""
    return list(dict.fromkeys(c for r in records.values() if (c := r.get("category"))))


def _only(records: Records, category: str) -> Records:
    return {i: record for i, record in records.items() if record.get("category") == category}
