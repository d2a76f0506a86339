"""The results table: one record per cell and metric, and per category."""

from __future__ import annotations

from harness.results.measured import is_shared, shared_speeds
from harness.results.result import CellResult, Run, Value

TIDY_COLUMNS = (
    "suite", "cell", "status", "kind", "model", "quantization", "adapter", "dataset", "category",
    "seed", "metric", "value", "unit", "higher_is_better", "n", "ci_low", "ci_high", "measured_in",
)  # fmt: skip
"""Columns of the results table, in order."""


def tidy_records(run: Run) -> list[dict[str, object]]:
    """One record per cell and metric, and per category: the results table.

    A speed that another cell of the variant measured has that cell's key under ``measured_in``.
    """
    found = []
    for cell in run.cells:
        own = cell.values or (Value("status", None, note=cell.reason),)
        lender, lent = _lent(run, cell)
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
        for v, measured_in in [*((v, None) for v in own), *((v, lender) for v in lent)]:
            found.append(
                {
                    **shared, "category": v.category, "seed": cell.seed, "metric": v.metric,
                    "value": v.value, "unit": v.unit, "higher_is_better": v.higher_is_better,
                    "n": v.n, "ci_low": v.ci_low, "ci_high": v.ci_high,
                    "measured_in": measured_in,
                }
            )  # fmt: skip
    return found


def _lent(run: Run, cell: CellResult) -> tuple[str | None, list[Value]]:
    """The cell that measured the speed of ``cell``'s variant, and what it measured."""
    speeds = shared_speeds(run, cell) if cell.status == "ok" else None
    if speeds is None or speeds.cell is None:
        return None, []
    return speeds.cell.key, [v for v in speeds.cell.values if is_shared(v.metric)]
