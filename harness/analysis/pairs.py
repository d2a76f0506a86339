"""`harness compare`: two runs, two cells or one run along an axis, compared by example."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from harness.analysis.comparable import Scored, incomparable, left_out, other_settings
from harness.analysis.contrasts import AxisDifferences, Contrast, axis_differences, chosen_values
from harness.analysis.difference import Criteria, Delta, differences
from harness.analysis.family import holm_over, noise_floor
from harness.analysis.flips import Flips, flips
from harness.analysis.matching import AXES as CONTRAST_AXES
from harness.analysis.seeds import seed_pairs
from harness.counting import counted
from harness.errors import HarnessError
from harness.extras import need
from harness.results.answers import predictions_of
from harness.results.paths import CellPaths
from harness.results.result import CellResult, by_id, load_result
from harness.results.run import Run, load_run
from harness.results.value import stored_directions
from harness.suite.schema import AXES

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Pair:
    """Two variants side by side."""

    first: Scored
    """The cell of the first seed that both sides have, where there are several."""
    second: Scored
    reason: str | None
    """Why they cannot be compared; None if they can."""
    deltas: dict[str, Delta]
    """Metric → second minus first."""
    left_out: str | None = None
    """How many examples were paired and left out; None if all were paired."""

    @property
    def name(self) -> str:
        """Axis values that both share, and `first → second` for those that differ."""
        return pair_name(self.first.result, self.second.result)

    def flips(self, metric: str) -> Flips | None:
        """Examples won and lost, in the first pair of seeds."""
        directions = stored_directions((self.first.result, self.second.result))
        return flips(self.first.records, self.second.records, metric, directions=directions)


@dataclass(frozen=True)
class Comparison:
    """Pairs of variants. A notebook displays it as a table."""

    pairs: tuple[Pair, ...]
    along: tuple[AxisDifferences, ...] = ()
    """With an axis: its contrasts, the mean of their pairs, for each metric that was asked for."""

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """The contrasts of the axis, data set by data set."""
        return tuple(each for axis in self.along for each in axis.contrasts)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        # the records of both sides would fill the screen
        return f"Comparison({counted(len(self), 'pair')})"

    def __getitem__(self, place: int) -> Pair:
        return self.pairs[place]

    def to_frame(self) -> DataFrame:
        """A pandas table: a row for each pair and metric, or for a pair without a comparison."""
        need("a table in pandas", "pandas")
        from pandas import DataFrame

        return DataFrame(self.records())

    def records(self) -> list[dict[str, object]]:
        """One plain record per pair and metric, or per pair that cannot be compared.

        With an axis, its contrasts come first. ``level`` says which is which: `contrast`,
        `together` (over data sets) or `pair`.
        """
        contrasts = [record for axis in self.along for record in axis.records()]
        return [*contrasts, *(record for pair in self.pairs for record in _records(pair))]

    def _repr_html_(self) -> str:
        from harness.analysis.notebook import comparison_html

        return comparison_html(self)


def pair_name(first: CellResult, second: CellResult) -> str:
    """Axis values that both share, and `first → second` for those that differ."""
    parts = []
    for axis in AXES:
        a, b = (getattr(side, axis) for side in (first, second))
        if a is not None and b is not None and (axis != "seed" or a != b):
            parts.append(str(a) if a == b else f"{a} → {b}")
    return ", ".join(parts)


Comparable = Run | Path
"""A run, its directory or packed file, or the directory of one cell."""


def compare(first: Comparable, second: Comparable, *, margin: float = 0.0) -> Comparison:
    """The pairs of ``first`` and ``second``: both runs, or both cell directories.

    Raises:
        HarnessError: a directory is neither, or the two runs share no cell.
    """
    if _is_cell(first) and _is_cell(second):
        return Comparison((_pair([_cell(first)], [_cell(second)], margin),))
    left, right = (_rows(_scored(side), None) for side in (first, second))
    shared = [axes for axes in left if axes in right]
    if not shared:
        hint = "Compare two cells instead: RUN/cells/KEY_A RUN/cells/KEY_B."
        names = " and ".join(str(_place(side)) for side in (first, second))
        raise HarnessError(f"{names} have no scored cell in common", hint=hint)
    return _holm([_pair(left[axes], right[axes], margin) for axes in shared])


def compare_axis(
    run: Comparable,
    axis: str,
    *,
    margin: float = 0.0,
    values: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Comparison:
    """The pairs of variants in ``run`` that differ along ``axis`` alone, and their means.

    Args:
        run: A run, its directory or packed file.
        axis: The axis; every other one is equal in a pair.
        margin: The smallest difference that matters.
        values: The axis's values to compare, in this order; default: all, in matrix order.
        metrics: The metrics of the contrasts; default: each data set's primary one.

    Raises:
        HarnessError: the directory holds no run, the axis has a single value, or not these.
    """
    read = _run_of(run)
    wanted = chosen_values(read, axis, values) if values else []
    scored = [one for one in _scored(read) if not wanted or getattr(one.result, axis) in wanted]
    if wanted:
        scored.sort(key=lambda one: wanted.index(getattr(one.result, axis)))
    rows = _rows(scored, axis)
    families: dict[tuple[object, ...], list[list[Scored]]] = {}
    for axes, cells in rows.items():
        others = tuple(v for name, v in zip(AXES, axes, strict=True) if name != axis)
        families.setdefault(others, []).append(cells)
    pairs = [
        _pair(a, b, margin)
        for members in families.values()
        for a, b in itertools.combinations(members, 2)
    ]
    if not pairs:
        hint = f"Axes: {', '.join(AXES)}."
        raise HarnessError(
            f"no two variants differ in {axis} alone", where=str(_place(run)), hint=hint
        )
    return replace(_holm(pairs), along=_along(read, scored, axis, margin, wanted, metrics))


def _along(
    run: Run, scored: Sequence[Scored], axis: str, margin: float, values: Sequence[str],
    metrics: Sequence[str],
) -> tuple[AxisDifferences, ...]:  # fmt: skip
    """The contrasts of ``axis`` in each metric; none along data sets and seeds."""
    if axis not in CONTRAST_AXES:
        return ()
    records = {one.result.key: one.records for one in scored}
    names = {cell.dataset for cell in run.cells}
    asked: list[Mapping[str, str]] = [dict.fromkeys(names, metric) for metric in metrics]
    return tuple(
        axis_differences(
            run, lambda cell: records[cell.key], axis, values=values, metrics=by, margin=margin
        )
        for by in asked or [{}]
    )


def _rows(cells: Iterable[Scored], axis: str | None) -> dict[tuple[object, ...], list[Scored]]:
    """Cells by their axes, all seeds of a variant together unless seeds are compared."""
    rows: dict[tuple[object, ...], list[Scored]] = {}
    for scored in cells:
        axes = scored.result.axes if axis == "seed" else {**scored.result.axes, "seed": None}
        rows.setdefault(tuple(axes.values()), []).append(scored)
    return rows


def _holm(pairs: list[Pair]) -> Comparison:
    """``pairs`` with p-values adjusted over all of them, metric by metric."""
    family = holm_over(pair.deltas for pair in pairs)
    return Comparison(
        tuple(replace(pair, deltas=deltas) for pair, deltas in zip(pairs, family, strict=True))
    )


def _records(pair: Pair) -> list[dict[str, object]]:
    shared = {
        "level": "pair",
        "first": pair.first.result.key,
        "second": pair.second.result.key,
        "pair": pair.name,
        "not_comparable": pair.reason,
        "left_out": pair.left_out,
    }
    deltas = [{**asdict(delta), **_counts(pair, metric)} for metric, delta in pair.deltas.items()]
    return [{**shared, **delta} for delta in deltas] or [shared]


def _counts(pair: Pair, metric: str) -> dict[str, object]:
    flipped = pair.flips(metric)
    keys = ("both_right", "both_wrong", "unparsed_first", "unparsed_second")
    return {key: getattr(flipped, key) for key in keys} if flipped else {}


def _pair(first: list[Scored], second: list[Scored], margin: float) -> Pair:
    by_seed = [{s.result.seed: s for s in side} for side in (first, second)]
    left, right = seed_pairs(*by_seed)[0]
    # every seed of both sides must fit the first: one that does not would spoil the mean over seeds
    sides = [left, *(side for side in (*first, *second) if side is not left)]
    reasons = (
        incomparable(left.records, side.records) or other_settings(left, side) for side in sides[1:]
    )
    reason = next((r for r in reasons if r), None)
    deltas: dict[str, Delta] = {}
    if reason is None:
        labels = left.result.labels
        before, after = ({k: s.records for k, s in side.items()} for side in by_seed)
        noise = noise_floor(side.result.noise.floor for side in sides)
        directions = stored_directions(side.result for side in sides)
        criteria = Criteria(margin, noise, directions=directions)
        deltas = differences(
            before, after, criteria=criteria, labels=labels, also=(left.result.primary_metric,)
        )
    counts = (left_out(left.records, side.records) for side in sides[1:])
    return Pair(left, right, reason, deltas, next((text for text in counts if text), None))


def _place(side: Comparable) -> Path:
    return side.directory if isinstance(side, Run) else side


def _is_cell(side: Comparable) -> TypeGuard[Path]:
    return isinstance(side, Path) and CellPaths(side).result.is_file()


def _cell(path: Path) -> Scored:
    result = load_result(CellPaths(path).result)
    if result is None:
        hint = "Give a cell's folder, runs/NAME/cells/KEY."
        raise HarnessError("no result.json", where=str(path), hint=hint)
    return Scored(result, by_id(predictions_of(result, CellPaths(path))))


def _run_of(side: Comparable) -> Run:
    try:
        return side if isinstance(side, Run) else load_run(side)
    except FileNotFoundError:
        hint = "Give two directories that `harness run` wrote, or two of their cells/KEY folders."
        raise HarnessError("this is neither a run nor a cell", where=str(side), hint=hint) from None


def _scored(side: Comparable) -> Iterator[Scored]:
    run = _run_of(side)
    for cell in run.cells:
        if cell.status == "ok":
            yield Scored(cell, by_id(run.predictions(cell)))
