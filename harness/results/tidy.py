"""The results table: one record per cell and metric, and per category."""

from __future__ import annotations

from collections.abc import Iterator

from harness.results.measured import is_shared, shared_speeds
from harness.results.result import CellResult, Value
from harness.results.run import Run

TIDY_COLUMNS = (
    "suite", "cell", "status", "kind", "model", "quantization", "adapter", "dataset", "category",
    "seed", "metric", "value", "unit", "higher_is_better", "n", "ci_low", "ci_high", "measured_in",
)  # fmt: skip
"""Columns of the results table, in order."""


TidyRow = tuple[object, ...]
"""A record's values, in the order of `TIDY_COLUMNS`."""


def tidy_records(run: Run) -> list[dict[str, object]]:
    """The rows of the results table as records; see `tidy_rows`."""
    return [dict(zip(TIDY_COLUMNS, row, strict=True)) for row in tidy_rows(run)]


def tidy_rows(run: Run) -> Iterator[TidyRow]:
    """One row per cell and metric, and per category: the results table.

    A speed that another cell of the variant measured has that cell's key under ``measured_in``.
    Tuples, because a run of thousands of cells has hundreds of thousands of rows, and a dictionary
    of 18 keys takes four times the memory.
    """
    for cell in run.cells:
        own = cell.values or (Value("status", None, note=cell.reason),)
        lender, lent = _lent(run, cell)
        kind = "baseline" if cell.is_baseline else "served" if cell.is_served else "finetuned"
        shared = (
            run.suite["name"], cell.key, cell.status, kind, cell.model, cell.quantization,
            cell.adapter, cell.dataset,
        )  # fmt: skip
        for v, measured_in in [*((v, None) for v in own), *((v, lender) for v in lent)]:
            yield (
                *shared, v.category, cell.seed, v.metric, v.value, v.unit, v.higher_is_better,
                v.n, v.ci_low, v.ci_high, measured_in,
            )  # fmt: skip


def _lent(run: Run, cell: CellResult) -> tuple[str | None, list[Value]]:
    """The cell that measured the speed of ``cell``'s variant, and what it measured."""
    speeds = shared_speeds(run, cell) if cell.status == "ok" else None
    if speeds is None or speeds.cell is None:
        return None, []
    return speeds.cell.key, [v for v in speeds.cell.values if is_shared(v.metric)]
