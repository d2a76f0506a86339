"""A run as comparable rows: seeds aggregated, baselines joined, differences paired by example."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.metrics.facts import fact
from harness.results import CellResult, Run
from harness.statistics import paired_difference

COSTS = (
    "latency_p50_ms", "batch_tokens_per_s", "infer_peak_rss_mib", "infer_peak_vram_mib",
    "train_seconds", "trainable_params", "adapter_mib",
)  # fmt: skip


@dataclass(frozen=True)
class Delta:
    """Fine-tuned minus baseline in one metric, on the same examples."""

    metric: str
    delta: float
    low: float
    high: float
    verdict: str
    """`better`, `worse` or `undecided`, by the interval alone."""
    n: int
    won: int
    lost: int


@dataclass(frozen=True)
class Row:
    """One model × quantization × adapter on one data set, its seeds together."""

    model: str
    quantization: str
    adapter: str
    cells: tuple[CellResult, ...]
    baseline: CellResult | None
    deltas: dict[str, Delta]

    @property
    def status(self) -> str:
        """`ok` if any seed ended well, else the first cell's status."""
        states = [cell.status for cell in self.cells]
        return "ok" if "ok" in states else states[0]

    @property
    def reason(self) -> str | None:
        """Why there is no value."""
        return next((cell.reason for cell in self.cells if cell.reason), None)

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


def build_leaderboard(run: Run) -> Leaderboard:
    """The tables of ``run``, one per data set in matrix order."""
    names = list(dict.fromkeys(cell.dataset for cell in run.cells))
    return Leaderboard(run, tuple(_table(run, name) for name in names))


def _table(run: Run, dataset: str) -> Table:
    cells = [cell for cell in run.cells if cell.dataset == dataset]
    groups: dict[tuple[str, str, str], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.quantization, cell.adapter), []).append(cell)
    baselines = {(c.model, c.quantization): c for c in cells if c.is_baseline}
    records: dict[str, dict[str, Any]] = {}
    rows = [
        _row(run, axes, tuple(members), baselines.get(axes[:2]), records)
        for axes, members in groups.items()
    ]
    return Table(dataset, cells[0].task, cells[0].primary_metric, tuple(rows))


def _row(
    run: Run, axes: tuple[str, str, str], cells: tuple[CellResult, ...],
    baseline: CellResult | None, records: dict[str, dict[str, Any]],
) -> Row:  # fmt: skip
    deltas: dict[str, Delta] = {}
    tuned = [cell for cell in cells if cell.status == "ok" and not cell.is_baseline]
    if tuned and baseline and baseline.status == "ok":
        before = _by_id(run, baseline, records)
        after = [_by_id(run, cell, records) for cell in tuned]
        for metric in sorted({m for r in before.values() for m in r["scores"]}):
            delta = _delta(metric, before, after)
            if delta:
                deltas[metric] = delta
    return Row(*axes, cells, baseline, deltas)


def _by_id(run: Run, cell: CellResult, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if cell.key not in records:
        records[cell.key] = {record["id"]: record for record in run.predictions(cell)}
    return records[cell.key]


def _delta(metric: str, before: dict[str, Any], after: Sequence[dict[str, Any]]) -> Delta | None:
    """The paired difference, each example's fine-tuned score averaged over seeds first."""
    shared = [
        i
        for i, record in before.items()
        if metric in record["scores"]
        and all(metric in a.get(i, {}).get("scores", {}) for a in after)
    ]
    if len(shared) < 2:
        return None
    base = [before[i]["scores"][metric] for i in shared]
    tuned = [statistics.fmean(a[i]["scores"][metric] for a in after) for i in shared]
    clusters = [before[i].get("group") or i for i in shared]
    found = paired_difference(base, tuned, clusters=clusters)
    up = fact(metric).higher_is_better is not False
    verdict = "undecided"
    if found.low > 0 or found.high < 0:
        verdict = "better" if (found.delta > 0) == up else "worse"
    return Delta(
        metric, found.delta, found.low, found.high, verdict, found.n, found.won, found.lost
    )


def tidy_records(run: Run) -> list[dict[str, Any]]:
    """One record per cell and metric, and per category: the results table."""
    found = []
    for cell in run.cells:
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
        for v in cell.values:
            found.append(
                {
                    **shared, "category": v.category, "seed": cell.seed, "metric": v.metric,
                    "value": v.value, "unit": v.unit, "higher_is_better": v.higher_is_better,
                    "n": v.n, "ci_low": v.ci_low, "ci_high": v.ci_high,
                }
            )  # fmt: skip
    return found
