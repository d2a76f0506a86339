"""The results table: one record per cell and metric, and per category."""

from __future__ import annotations

from harness.results.result import Run, Value

TIDY_COLUMNS = (
    "suite", "cell", "status", "kind", "model", "quantization", "adapter", "dataset", "category",
    "seed", "metric", "value", "unit", "higher_is_better", "n", "ci_low", "ci_high",
)  # fmt: skip
"""Columns of the results table, in order."""


def tidy_records(run: Run) -> list[dict[str, object]]:
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
