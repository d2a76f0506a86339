"""A run as comparable rows: seeds aggregated, baselines joined, differences paired by example."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Any

from harness.compare import Criteria, Delta, Records, differences, incomparable, with_adjusted
from harness.metrics.facts import fact
from harness.ranking import Side, Ties, ties
from harness.results import CellResult, Run, Value
from harness.statistics import holm
from harness.suite import Objectives

COSTS = (
    "latency_p50_ms", "ttft_p50_ms", "batch_tokens_per_s", "infer_peak_rss_mib",
    "infer_peak_vram_mib", "train_peak_rss_mib", "train_peak_vram_mib", "train_seconds",
    "train_tokens_per_s", "trainable_params", "trainable_percent", "adapter_mib",
)  # fmt: skip


SPEEDS = (
    "latency_p50_ms", "latency_p95_ms", "ttft_p50_ms", "decode_tokens_per_s", "batch_tokens_per_s",
    "batch_examples_per_s", "train_seconds", "train_tokens_per_s",
)  # fmt: skip
"""Measurements that say something only beside others of the same hardware."""

TRIVIAL = {
    "rougeL": {
        "one constant answer": "rougeL_constant",
        "the prompt copied": "rougeL_copied_prompt",
    },
    "numeric_accuracy": {"one constant answer": "numeric_accuracy_constant"},
    "f1_macro": {"the majority label": "f1_macro_majority"},
    "accuracy": {"the majority label": "accuracy_majority"},
}  # fmt: skip
"""Metric → what a trivial baseline answers → the metric that holds its score."""

TIDY_COLUMNS = (
    "suite", "cell", "status", "kind", "model", "quantization", "adapter", "dataset", "category",
    "seed", "metric", "value", "unit", "higher_is_better", "n", "ci_low", "ci_high",
)  # fmt: skip
"""Columns of the results table, in order."""


@dataclass(frozen=True)
class Row:
    """One model × quantization × adapter on one data set, its seeds together."""

    model: str
    quantization: str
    adapter: str
    cells: tuple[CellResult, ...]
    baseline: CellResult | None
    deltas: dict[str, Delta]
    control: dict[str, Delta] = field(default_factory=dict)
    """The same differences on the control set: what was forgotten."""
    incomparable: str | None = None
    """Why there is no difference to the baseline, where both have results."""

    @property
    def name(self) -> str:
        """The row's axes as one text."""
        return f"{self.model}, {self.quantization}, {self.adapter}"

    @property
    def finished(self) -> tuple[CellResult, ...]:
        """The cells that ended well."""
        return tuple(cell for cell in self.cells if cell.status == "ok")

    @property
    def status(self) -> str:
        """`ok` if any seed ended well, else the first cell's status."""
        states = [cell.status for cell in self.cells]
        return "ok" if "ok" in states else states[0]

    @property
    def reason(self) -> str | None:
        """Why there is no value."""
        return next((cell.reason for cell in self.cells if cell.reason), None)

    @property
    def noise(self) -> dict[str, Any]:
        """What evaluating the row again changed; empty for rows that are no baseline."""
        return next((cell.noise for cell in self.cells if cell.noise), {})

    def machines(self) -> set[str]:
        """The hardware that the row's cells were measured on."""
        return {cell.hardware for cell in self.cells if cell.status == "ok" and cell.hardware}

    def values(self, metric: str) -> list[float]:
        """The metric's value of every seed that has one."""
        found = (cell.value(metric) for cell in self.cells if cell.status == "ok")
        return [v.value for v in found if v is not None and v.value is not None]

    def mean(self, metric: str) -> float | None:
        """The mean over seeds, or None."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds; None for fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Table:
    """All rows of one data set."""

    dataset: str
    task: str
    primary_metric: str
    rows: tuple[Row, ...]
    ties: Ties | None = None
    """Tie groups on the primary metric."""

    @property
    def higher_is_better(self) -> bool:
        """The direction of the primary metric."""
        return fact(self.primary_metric).higher_is_better is not False

    def machines(self) -> set[str]:
        """The hardware that the table's cells were measured on."""
        return {name for row in self.rows for name in row.machines()}

    def trivial(self) -> dict[str, float]:
        """What a trivial baseline answers → its score in the primary metric."""
        found = {}
        for answer, metric in TRIVIAL.get(self.primary_metric, {}).items():
            row = next((row for row in self.rows if row.values(metric)), None)
            if row is not None:
                found[answer] = row.mean(metric) or 0.0
        return found

    def best(self) -> Row | None:
        """The row with the best mean of the primary metric; a tie group says what that means."""
        scored = [row for row in self.rows if row.mean(self.primary_metric) is not None]
        sign = 1 if self.higher_is_better else -1
        return max(scored, key=lambda r: sign * (r.mean(self.primary_metric) or 0.0), default=None)

    def metrics(self) -> list[str]:
        """Quality metrics that some row has, the primary one first."""
        seen = {v.metric for row in self.rows for cell in row.cells for v in cell.values}
        chosen = ("rougeL", "numeric_accuracy", "accuracy", "f1_macro", "chrf", "eval_loss")
        rest = [m for m in chosen if m in seen and m != self.primary_metric]
        return [self.primary_metric, *rest]


@dataclass(frozen=True)
class Leaderboard:
    """Everything a report shows."""

    run: Run
    tables: tuple[Table, ...]
    objectives: Objectives
    stored: dict[str, Records] = field(default_factory=dict, repr=False)
    """Cell key → its records by example id, read once."""

    def records(self, cell: CellResult) -> Records:
        """The prediction records of ``cell`` by example id."""
        return _by_id(self.run, cell, self.stored)


def build_leaderboard(
    run: Run,
    objectives: Objectives | None = None,
    *,
    metric: str | None = None,
    baseline_of: str = "adapter",
) -> Leaderboard:
    """The tables of ``run``, one per data set in matrix order.

    Args:
        run: A run directory read back.
        objectives: Instead of the suite's own.
        metric: Instead of every data set's primary metric.
        baseline_of: The axis whose first value is the baseline of the others: with `adapter` it is
            the untouched model.
    """
    names = list(dict.fromkeys(cell.dataset for cell in run.cells))
    stored: dict[str, Records] = {}
    tables = tuple(_table(run, name, stored, metric, baseline_of) for name in names)
    wanted = objectives or Objectives(**run.suite.get("objectives", {}))
    return Leaderboard(run, tables, wanted, stored)


def _table(
    run: Run, dataset: str, records: dict[str, Records], metric: str | None, baseline_of: str
) -> Table:
    cells = [cell for cell in run.cells if cell.dataset == dataset]
    groups: dict[tuple[str, str, str], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.quantization, cell.adapter), []).append(cell)
    firsts = _baselines(groups, baseline_of)
    rows = [
        _row(run, axes, tuple(members), firsts.get(_others(axes, baseline_of), ()), records)
        for axes, members in groups.items()
    ]
    metric = metric or cells[0].primary_metric
    made = Table(dataset, cells[0].task, metric, tuple(_holm(rows, metric)))
    return replace(made, ties=_ties(run, made, records))


Axes = tuple[str, str, str]


def _others(axes: Axes, axis: str) -> tuple[str, ...]:
    """``axes`` (model, quantization, adapter) without the one that is compared along."""
    place = ("model", "quantization", "adapter").index(axis)
    return (*axes[:place], *axes[place + 1 :])


def _baselines(
    groups: dict[Axes, list[CellResult]], axis: str
) -> dict[tuple[str, ...], tuple[CellResult, ...]]:
    """What is shared → the cells that the others along ``axis`` are compared with."""
    found: dict[tuple[str, ...], tuple[CellResult, ...]] = {}
    for axes, members in groups.items():
        if axis != "adapter" or members[0].is_baseline:
            found.setdefault(_others(axes, axis), tuple(members))
    return found


def _holm(rows: list[Row], metric: str) -> list[Row]:
    """``rows`` with p-values adjusted over the family: all contrasts to a baseline of the table.

    A difference whose adjusted p-value is above 0.05 stays undecided.
    """
    family = [row for row in rows if metric in row.deltas]
    adjusted = dict(
        zip(
            (id(row) for row in family),
            holm([row.deltas[metric].p_value or 0.0 for row in family]),
            strict=True,
        )
    )
    found = []
    for row in rows:
        if id(row) in adjusted:
            delta = with_adjusted(row.deltas[metric], adjusted[id(row)])
            row = replace(row, deltas={**row.deltas, metric: delta})
        found.append(row)
    return found


def _ties(run: Run, table: Table, records: dict[str, Records]) -> Ties | None:
    scored = [row for row in table.rows if row.values(table.primary_metric)]
    sides = [
        Side(
            row.name,
            tuple(_by_id(run, c, records) for c in row.cells if c.status == "ok"),
            _share(row, table.primary_metric, records),
        )
        for row in scored
    ]
    labels = next((c.confusion["labels"] for row in scored for c in row.cells if c.confusion), ())
    return ties(sides, table.primary_metric, higher_is_better=table.higher_is_better, labels=labels)


def _share(row: Row, metric: str, records: dict[str, Records]) -> tuple[float, int] | None:
    """A row's share of right answers, where it is one and no example is kept."""
    values = [v for c in row.cells if c.status == "ok" and (v := c.value(metric))]
    kept = any(records.get(cell.key) for cell in row.cells)
    if kept or len(values) != 1 or values[0].unit != "share":
        return None
    return (values[0].value or 0.0, values[0].n) if values[0].n else None


def _row(
    run: Run, axes: tuple[str, str, str], cells: tuple[CellResult, ...],
    firsts: tuple[CellResult, ...], records: dict[str, Records],
) -> Row:  # fmt: skip
    deltas: dict[str, Delta] = {}
    reason = None
    base = [cell for cell in firsts if cell.status == "ok"]
    tuned = [] if cells == firsts else [cell for cell in cells if cell.status == "ok"]
    if tuned and base:
        before, after = ([_by_id(run, c, records) for c in side] for side in (base, tuned))
        sides = [*before[1:], *after]
        reason = next((r for r in (incomparable(before[0], side) for side in sides) if r), None)
        if reason is None:
            labels = (tuned[0].confusion or {}).get("labels", ())
            margin = float(tuned[0].evaluation("margin") or 0)
            criteria = Criteria(margin, base[0].noise.get("floor"))
            deltas = differences(before, after, criteria=criteria, labels=labels)
    baseline = firsts[0] if firsts else None
    return Row(*axes, cells, baseline, deltas, _control(run, base[:1], tuned), reason)


def _control(run: Run, base: list[CellResult], tuned: list[CellResult]) -> dict[str, Delta]:
    """Differences on the control set, where baseline and every seed were scored on it."""
    cells = [*base, *tuned] if base and tuned else []
    sides = [{record["id"]: record for record in run.control(cell)} for cell in cells]
    if not sides or not sides[0] or any(side.keys() != sides[0].keys() for side in sides):
        return {}
    return differences(sides[:1], sides[1:])


def _by_id(run: Run, cell: CellResult, records: dict[str, Records]) -> Records:
    if cell.key not in records:
        records[cell.key] = {record["id"]: record for record in run.predictions(cell)}
    return records[cell.key]


def tidy_records(run: Run) -> list[dict[str, Any]]:
    """One record per cell and metric, and per category: the results table."""
    found = []
    for cell in run.cells:
        values = cell.values or (Value("status", None, note=cell.reason),)
        shared = {
            "suite": run.suite["name"],
            "cell": cell.key,
            "status": cell.status,
            "kind": "baseline" if cell.is_baseline else "finetuned",
            "model": cell.model,
            "quantization": cell.quantization,
            "adapter": cell.adapter,
            "dataset": cell.dataset,
        }
        for v in values:
            found.append(
                {
                    **shared, "category": v.category, "seed": cell.seed, "metric": v.metric,
                    "value": v.value, "unit": v.unit, "higher_is_better": v.higher_is_better,
                    "n": v.n, "ci_low": v.ci_low, "ci_high": v.ci_high,
                }
            )  # fmt: skip
    return found
