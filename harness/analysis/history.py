"""Several runs of one suite in time: each variant's values, what changed, and whether that shows.

Runs are in the order in which they are given. None of them records a time: the same run gives the
same files, whenever it is made.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.comparable import Scored, incomparable, other_settings
from harness.analysis.difference import Criteria, Delta, difference
from harness.analysis.family import holm_list, noise_floor
from harness.counting import counted
from harness.metrics.registry import direction_of
from harness.results.result import CellResult, by_id
from harness.results.run import Run
from harness.results.value import stored_directions

MISSING = "no setting"
NOT_SETTINGS = ("base_folder", "model.description", "report_to", "seed")
"""What differs between folders or seeds, or is for trackers, and does not change the recipe."""


@dataclass(frozen=True)
class RunPoint:
    """One run on the axis of time."""

    name: str
    revision: str
    """The first letters of the Git revision, with + for uncommitted changes; empty if unknown."""
    changes: tuple[str, ...] = ()
    """What differs from the run before, with how many variants it concerns."""


@dataclass(frozen=True)
class Point:
    """One variant in one run."""

    run: int
    """The place of its run in `History.runs`."""
    value: float
    """The mean over seeds."""
    low: float | None
    """One seed: the 95% interval over examples; several: the smallest and the largest seed."""
    high: float | None
    seeds: int
    delta: Delta | None = None
    """Against the run before that has the variant, example by example."""
    reason: str | None = None
    """Why they cannot be compared."""
    against: int | None = None
    """The place of that run."""


@dataclass(frozen=True)
class VariantHistory:
    """One variant on one data set."""

    dataset: str
    variant: str
    metric: str
    higher_is_better: bool | None
    points: tuple[Point, ...]


@dataclass(frozen=True)
class History:
    """Every variant of a suite over its runs."""

    runs: tuple[RunPoint, ...]
    variants: tuple[VariantHistory, ...]
    families: Mapping[int, int] = field(default_factory=dict)
    """Place of a run → how many comparisons with the one before Holm's correction is over."""


def history(runs: Sequence[Run], names: Sequence[str]) -> History | None:
    """The history of ``runs``; None unless all are of one suite and there are two.

    Args:
        runs: In the order of time.
        names: What each is called.
    """
    if len(runs) < 2 or len({run.suite["name"] for run in runs}) > 1:
        return None
    cells = [_by_variant(run) for run in runs]
    keys = dict.fromkeys(key for found in cells for key in found)
    made = [(key, _points(key, cells, runs)) for key in keys]
    families = {place: _family(place, [points for _, points in made]) for place in range(len(runs))}
    variants = []
    for key, points in made:
        members = [cell for found in cells for cell in found.get(key, ())]
        metric = members[-1].primary_metric
        direction = direction_of(metric, stored_directions(members))
        if points:
            name = ", ".join(key[:3])
            variants.append(VariantHistory(key[3], name, metric, direction, tuple(points)))
    marks = tuple(
        RunPoint(name, _revision(run), _changes(cells, place))
        for place, (run, name) in enumerate(zip(runs, names, strict=True))
    )
    return History(marks, tuple(variants), {k: n for k, n in families.items() if n})


Key = tuple[str, str, str, str]
"""Model, quantization, adapter and data set."""
Variants = Mapping[Key, list[CellResult]]


def _by_variant(run: Run) -> dict[Key, list[CellResult]]:
    found: dict[Key, list[CellResult]] = {}
    for cell in run.cells:
        if cell.status == "ok":
            key = (cell.model, cell.quantization, cell.adapter, cell.dataset)
            found.setdefault(key, []).append(cell)
    return found


def _points(key: Key, cells: Sequence[Variants], runs: Sequence[Run]) -> list[Point]:
    """The points of one variant; each is compared with the one before it."""
    points: list[Point] = []
    before: int | None = None
    for place, found in enumerate(cells):
        members = found.get(key, [])
        point = _point(place, members)
        if point is None:
            continue
        if before is not None:
            sides = [(runs[p], cells[p][key]) for p in (before, place)]
            delta, reason = _compared(*sides)
            point = replace(point, delta=delta, reason=reason, against=before)
        points.append(point)
        before = place
    return points


def _point(place: int, cells: Sequence[CellResult]) -> Point | None:
    metrics = [cell.value(cell.primary_metric) for cell in cells]
    values = [v for v in metrics if v is not None and v.value is not None]
    numbers = [float(v.value) for v in values if v.value is not None]
    if not numbers:
        return None
    low, high = (values[0].ci_low, values[0].ci_high)
    if len(numbers) > 1:
        low, high = min(numbers), max(numbers)
    return Point(place, statistics.fmean(numbers), low, high, len(numbers))


Side = tuple[Run, Sequence[CellResult]]


def _compared(first: Side, second: Side) -> tuple[Delta | None, str | None]:
    """The paired difference of a variant between two runs, or why there is none."""
    before, after = (
        {cell.seed: Scored(cell, by_id(run.predictions(cell))) for cell in cells}
        for run, cells in (first, second)
    )
    one, *others = [*before.values(), *after.values()]
    if one.result.primary_metric != others[-1].result.primary_metric:
        return None, "the primary metric changed"
    reasons = (
        incomparable(one.records, each.records) or other_settings(one, each) for each in others
    )
    reason = next((text for text in reasons if text), None)
    if reason is not None:
        return None, reason
    cells = [*first[1], *second[1]]
    noise = noise_floor(cell.noise.floor for cell in cells)
    margin = float(second[1][0].evaluation("margin") or 0)
    criteria = Criteria(margin, noise, directions=stored_directions(cells))
    labels = next((cell.labels for cell in cells if cell.labels), ())
    sides = ({seed: each.records for seed, each in side.items()} for side in (before, after))
    delta = difference(one.result.primary_metric, *sides, criteria=criteria, labels=labels)
    return delta, None if delta else "fewer than two examples have a score in both"


def _family(place: int, histories: Sequence[list[Point]]) -> int:
    """Correct the comparisons of the run in ``place`` in their lists; how many there are."""
    where = [
        (points, k)
        for points in histories
        for k, point in enumerate(points)
        if point.run == place and point.delta
    ]
    deltas = holm_list([delta for points, k in where if (delta := points[k].delta)])
    for (points, k), delta in zip(where, deltas, strict=True):
        points[k] = replace(points[k], delta=delta)
    return len(deltas)


def _revision(run: Run) -> str:
    own = [run.environment, *(cell.provenance.environment for cell in run.cells)]
    git = next((each.git for each in own if each.git), None)
    return f"{git.revision[:10]}{'+' if git.dirty else ''}" if git else ""


def _changes(cells: Sequence[Variants], place: int) -> tuple[str, ...]:
    """What the cells of a run differ in from those of the run before, the most common first."""
    if place == 0:
        return ()
    old, new = cells[place - 1], cells[place]
    counts: Counter[str] = Counter()
    for key in (key for key in new if key in old):
        counts.update(_differing(_facts(old[key][0]), _facts(new[key][0])))
    texts = []
    for text, count in counts.most_common():
        several = "" if count == len(new) else f" ({count} of {counted(len(new), 'variant')})"
        texts.append(f"{text}{several}")
    for word, only in (("new", new.keys() - old.keys()), ("gone", old.keys() - new.keys())):
        texts += [f"{word}: {', '.join(key)}" for key in sorted(only)]
    return tuple(texts)


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    names = dict.fromkeys([*old, *new])
    return [
        f"{name}: {old.get(name, MISSING)} → {new.get(name, MISSING)}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _facts(cell: CellResult) -> dict[str, str]:
    """The settings, data, packages and machine of a cell, flat."""
    environment = cell.provenance.environment
    facts = {name: text for name, text in _flat(cell.provenance.cell) if name not in NOT_SETTINGS}
    facts |= {f"package {name}": str(v) for name, v in environment.packages.items() if v}
    if environment.hardware:
        facts["machine"] = environment.hardware
    content = cell.data.get("content")
    if isinstance(content, dict) and content.get("data"):
        facts["data"] = str(content["data"])
    return facts


def _flat(settings: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)
