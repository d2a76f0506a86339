"""Scores computed again from stored predictions: a metric's fix costs no training."""

from __future__ import annotations

from dataclasses import replace

from harness.plan.cell import cell_of_record
from harness.plan.task import Task, task_of_record
from harness.results.paths import RunPaths
from harness.results.result import CellResult, Run, save_result, write_predictions
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.scoring import METRIC_VERSION, score_records
from harness.suite.schema import Evaluation


def rescore(run: Run, *, only_outdated: bool = False) -> list[str]:
    """Score the finished cells of ``run`` again, on disk; the keys of those that were.

    Measurements (latency, memory, training time) stay as they were measured.

    Args:
        run: A run as it was loaded; load it again to see the new scores.
        only_outdated: Leave cells that were scored by this version of the metrics.
    """
    done = []
    for cell in run.cells:
        if cell.status != "ok" or (only_outdated and cell.metrics_version == METRIC_VERSION):
            continue
        records = run.predictions(cell)
        if records and {"cell", "task"} & set(cell.provenance):  # others are another tool's
            paths = RunPaths(run.directory).cell(cell.key)
            result = _rescored(cell, records)
            write_predictions(paths.predictions, records)
            save_result(paths, result)
            done.append(cell.key)
    return done


def _task(result: CellResult) -> Task:
    """What the scores depend on: the cell's own, or what imported answers recorded."""
    if "cell" in result.provenance:
        return cell_of_record(result.provenance["cell"]).task
    stored = dict(result.provenance["task"])
    return task_of_record(stored, Evaluation(**stored.pop("evaluation")))


def _rescored(result: CellResult, records: list[dict[str, object]]) -> CellResult:
    task = _task(result)
    score_records(records, task)
    kept = tuple(v for v in result.values if v.n is None or v.metric.startswith("control_"))
    return replace(
        result,
        values=(*aggregate(records, task, result.trivial), *kept),
        confusion=confusion_record(records, task.labels) if task.labels else None,
        metrics_version=METRIC_VERSION,
    )
