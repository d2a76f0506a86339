"""From a run to its leaderboard: aggregate seeds, find each row's baseline, pair by example."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.columns import field_of, ids_of
from harness.analysis.comparable import incomparable, left_out
from harness.analysis.contrasts import AxisDifferences, axis_differences
from harness.analysis.difference import Criteria, Delta, differences
from harness.analysis.family import holm_over, noise_floor
from harness.analysis.history import History
from harness.analysis.matching import AXES
from harness.analysis.objectives import Standing, standings
from harness.analysis.sharing import share_scores, share_texts
from harness.analysis.table import Row, Table
from harness.analysis.ties import RowScores, Ties, ties
from harness.errors import HarnessError
from harness.extras import need
from harness.metrics.prediction import Records
from harness.metrics.registry import direction_of
from harness.registry import did_you_mean
from harness.results.measured import Speeds, shared_speeds
from harness.results.result import CellResult, by_id
from harness.results.run import Run
from harness.results.value import stored_directions
from harness.suite.schema import Objectives

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Leaderboard:
    """Everything a report shows."""

    run: Run
    tables: tuple[Table, ...] = field(repr=False)
    objectives: Objectives
    stored: dict[str, Records] = field(default_factory=dict, repr=False)
    """Cell key → its records by example id, read once."""
    history: History | None = field(default=None, repr=False)
    """The variants over several runs of one suite."""
    last: Leaderboard | None = field(default=None, repr=False)
    """Of several runs of one suite, the last one alone; what to do is decided by it.

    Otherwise it would offer the results of earlier runs, which nobody can ship any more, and count
    the examples and costs of a variant once for each run.
    """

    @property
    def deciding(self) -> Leaderboard:
        """The board that a reader decides by: the last of several runs of one suite, or this one.

        Its data sets are the first ones of this board, in the same order.
        """
        return self.last or self

    @cached_property
    def ranked(self) -> dict[str, list[Standing]]:
        """Data set → its rows under the objectives."""
        return {table.dataset: standings(table, self.objectives) for table in self.tables}

    @cached_property
    def along(self) -> dict[str, AxisDifferences]:
        """Axis → the differences between its values, everything else equal.

        Axes with a single value that has a result are left out.
        """
        if self.last is not None:
            return self.last.along
        metrics = {table.dataset: table.primary_metric for table in self.tables}
        found = (axis_differences(self.run, self.records, a, metrics=metrics) for a in AXES)
        return {each.axis: each for each in found if each.contrasts}

    def records(self, cell: CellResult) -> Records:
        """The prediction records of ``cell`` by example id."""
        return _read(self.run, cell, self.stored)

    def to_frame(self) -> DataFrame:
        """A tidy pandas table: a row for each variant and metric.

        ``value`` is the mean over seeds, ``delta`` the difference to the baseline with its 95%
        interval. A variant without a result has one row, with its ``status`` and ``reason``. For a
        speed that was measured on another data set, ``measured_on`` names it.
        """
        need("a table in pandas", "pandas")
        from pandas import DataFrame

        from harness.analysis.notebook import leaderboard_records

        return DataFrame(leaderboard_records(self))

    def _repr_html_(self) -> str:
        from harness.analysis.notebook import leaderboard_html

        return leaderboard_html(self)


def build_leaderboard(
    run: Run,
    objectives: Objectives | None = None,
    *,
    metric: str | None = None,
    baseline_of: str | None = None,
) -> Leaderboard:
    """The tables of ``run``, one per data set in matrix order.

    Args:
        run: A run directory read back.
        objectives: Instead of the suite's own.
        metric: Instead of every data set's primary metric.
        baseline_of: The axis whose first value is the baseline of the others; default: the run's
            own, `adapter` for what `harness run` trained: the untouched model.

    Raises:
        HarnessError: no cell has a value of ``metric``, or no axis has that name.
    """
    _check_names(run, metric, baseline_of)
    baseline_of = baseline_of or str(run.suite.get("baseline_of", "adapter"))
    names = list(dict.fromkeys(cell.dataset for cell in run.cells))
    stored: dict[str, Records] = {}
    tables = tuple(_table(run, name, stored, metric, baseline_of) for name in names)
    objectives = objectives or Objectives(**run.suite.get("objectives", {}))
    return Leaderboard(run, tables, objectives, stored)


def _check_names(run: Run, metric: str | None, baseline_of: str | None) -> None:
    """Refuse a misspelt name: it would give a page of empty columns, without a word."""
    known = {value.metric for cell in run.cells for value in cell.values}
    if metric is not None and known and metric not in known:
        raise HarnessError(f'no cell has the metric "{metric}"', hint=did_you_mean(metric, known))
    if baseline_of is not None and baseline_of not in AXES:
        hint = did_you_mean(baseline_of, AXES)
        raise HarnessError(f'no axis of a row is named "{baseline_of}"', hint=hint)


def _table(
    run: Run, dataset: str, records: dict[str, Records], metric: str | None, baseline_of: str
) -> Table:
    cells = [cell for cell in run.cells if cell.dataset == dataset]
    groups: dict[tuple[str, str, str], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.quantization, cell.adapter), []).append(cell)
    # with an axis other than the adapter, the first value in matrix order is the baseline
    firsts = _baselines(groups, baseline_of)
    rows = [
        _row(
            run,
            axes,
            tuple(members),
            _baseline_cells(firsts, axes, members, baseline_of),
            records,
            metric=metric or cells[0].primary_metric,
        )
        for axes, members in groups.items()
    ]
    metric = metric or cells[0].primary_metric
    table = Table(
        dataset, cells[0].task, metric, tuple(_holm(rows, metric)),
        higher_is_better=direction_of(metric, stored_directions(cells)),
        test_sets=max(1, _test_sets(run, rows, records)),
    )  # fmt: skip
    return replace(table, ties=_ties(run, table, records))


def _test_sets(run: Run, rows: list[Row], records: dict[str, Records]) -> int:
    """How many different sets of examples the rows were scored on; cells without records aside."""
    # mostly all cells have the same examples in the same order: then no sets are made
    listed: list[tuple[list[str], list[object]]] = []
    for row in rows:
        for cell in row.finished:
            side = _read(run, cell, records)
            examples = (ids_of(side), field_of(side, "data_hash"))
            if side and examples not in listed:
                listed.append(examples)
    return len({frozenset(zip(*examples, strict=True)) for examples in listed})


Axes = tuple[str, str, str]


def _others(axes: Axes, axis: str) -> tuple[str, ...]:
    """``axes`` (model, quantization, adapter) without ``axis``."""
    place = AXES.index(axis)
    return (*axes[:place], *axes[place + 1 :])


def _baselines(
    groups: dict[Axes, list[CellResult]], axis: str
) -> dict[tuple[str, ...], tuple[CellResult, ...]]:
    """Values of the other axes → the cells that all others along ``axis`` are compared with."""
    baselines: dict[tuple[str, ...], tuple[CellResult, ...]] = {}
    for axes, members in groups.items():
        if axis != "adapter" or members[0].is_baseline:
            baselines.setdefault(_others(axes, axis), tuple(members))
    return baselines


def _baseline_cells(
    firsts: dict[tuple[str, ...], tuple[CellResult, ...]],
    axes: Axes,
    members: list[CellResult],
    axis: str,
) -> tuple[CellResult, ...]:
    """The cells that the row of ``members`` is compared with; none where it has no baseline."""
    found = firsts.get(_others(axes, axis), ())
    if found or axis != "adapter" or not members[0].is_served:
        return found
    # a served model has no untouched cells of its own: its suite may name a local model's
    endpoint = (members[0].provenance.cell.get("model") or {}).get("endpoint") or {}
    named = (cells for cells in firsts.values() if cells[0].model == endpoint.get("baseline"))
    return next(named, ())


def _holm(rows: list[Row], metric: str) -> list[Row]:
    """``rows`` with p-values adjusted over the family: the table's contrasts to a baseline.

    Only the primary metric is judged as a family. The others are shown without adjustment.
    """
    family = holm_over([row.deltas for row in rows], [metric])
    return [replace(row, deltas=deltas) for row, deltas in zip(rows, family, strict=True)]


def _ties(run: Run, table: Table, records: dict[str, Records]) -> Ties | None:
    scored = [row for row in table.rows if row.values(table.primary_metric)]
    sides = [
        RowScores(
            row.name,
            {c.seed: _read(run, c, records) for c in row.finished},
            _share(row, table.primary_metric, records),
        )
        for row in scored
    ]
    labels = next((c.confusion.labels for row in scored for c in row.cells if c.confusion), ())
    return ties(sides, table.primary_metric, higher_is_better=table.higher_is_better, labels=labels)


def _share(row: Row, metric: str, records: dict[str, Records]) -> tuple[float, int] | None:
    """A row's share of right answers and its n, if it has one seed and no records were kept."""
    values = [v for c in row.finished if (v := c.value(metric))]
    has_records = any(records.get(cell.key) for cell in row.cells)
    if has_records or len(values) != 1 or values[0].unit != "share":
        return None
    return (values[0].value or 0.0, values[0].n) if values[0].n else None


def _row(
    run: Run, axes: tuple[str, str, str], cells: tuple[CellResult, ...],
    firsts: tuple[CellResult, ...], records: dict[str, Records], *, metric: str,
) -> Row:  # fmt: skip
    deltas: dict[str, Delta] = {}
    reason = counts = None
    base = [cell for cell in firsts if cell.status == "ok"]
    tuned = [] if cells == firsts else [cell for cell in cells if cell.status == "ok"]
    if tuned and base:
        before, after = ({c.seed: _read(run, c, records) for c in side} for side in (base, tuned))
        first, *others = [*before.values(), *after.values()]
        reason = next((r for r in (incomparable(first, side) for side in others) if r), None)
        counts = next((text for text in (left_out(first, side) for side in others) if text), None)
        if reason is None:
            labels = tuned[0].labels
            margin = float(tuned[0].evaluation("margin") or 0)
            sides = [*base, *tuned]
            noise = noise_floor(cell.noise.floor for cell in sides)
            criteria = Criteria(margin, noise, directions=stored_directions(sides))
            deltas = differences(before, after, criteria=criteria, labels=labels, also=(metric,))
    baseline = firsts[0] if firsts else None
    control = _control(run, base, tuned)
    return Row(*axes, cells, baseline, deltas, control, reason, counts, _speeds(run, cells))


def _speeds(run: Run, cells: tuple[CellResult, ...]) -> Speeds | None:
    """What another data set's cell measured for a row; None where a seed of its own measures."""
    found = [shared_speeds(run, cell) for cell in cells if cell.status == "ok"]
    return None if None in found or not found else found[0]


def _control(run: Run, base: list[CellResult], tuned: list[CellResult]) -> dict[str, Delta]:
    """Differences on the control set, where every seed of both sides was scored on it."""
    if not base or not tuned:
        return {}
    before, after = ({c.seed: by_id(run.control(c)) for c in side} for side in (base, tuned))
    first, *sides = [*before.values(), *after.values()]
    if not first or any(side.keys() != first.keys() for side in sides):
        return {}
    return differences(before, after)


def _read(run: Run, cell: CellResult, records: dict[str, Records]) -> Records:
    if cell.key not in records:
        found = run.predictions(cell)
        # cells of one data set are read one after another
        share_texts(found, next(reversed(records.values()), {}))
        share_scores(found)
        records[cell.key] = by_id(found)
    return records[cell.key]
