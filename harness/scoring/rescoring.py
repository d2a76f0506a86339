"""Scores computed again from stored predictions: a metric's fix costs no training."""

from __future__ import annotations

from dataclasses import replace

from harness.metrics.registry import find
from harness.plan.cell import cell_of_record
from harness.plan.task import Task, task_of_record
from harness.results.paths import RunPaths
from harness.results.result import CellResult, Run, Value, save_result, write_predictions
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.scoring import score_records, signatures_of
from harness.suite.schema import Evaluation


def rescore(run: Run, *, only_outdated: bool = False) -> list[str]:
    """Score the finished cells of ``run`` again, on disk; the keys of those that were.

    Measurements (latency, memory, training time) stay as they were measured.

    Args:
        run: A run as it was loaded; load it again to see the new scores.
        only_outdated: Leave cells whose metrics were all computed as they are now.
    """
    done = []
    for cell in run.cells:
        if not _is_ours(cell) or (only_outdated and not is_outdated(cell)):
            continue
        records = run.predictions(cell)
        if records:
            paths = RunPaths(run.directory).cell(cell.key)
            result = _rescored(cell, records)
            write_predictions(paths.predictions, records)
            save_result(paths, result)
            done.append(cell.key)
    return done


def is_outdated(cell: CellResult) -> bool:
    """Whether some metric of a finished cell is new, or was computed in another way than now.

    A metric that is not there any more, such as one of a plug-in, is no reason.
    """
    if not _is_ours(cell):
        return False
    now = signatures_of(_task(cell))
    return any(cell.metric_signatures.get(name) != signature for name, signature in now.items())


def _is_ours(cell: CellResult) -> bool:
    """Whether the cell has scores of ours: those of an imported result are another tool's."""
    return cell.status == "ok" and bool({"cell", "task"} & set(cell.provenance))


def _task(result: CellResult) -> Task:
    """What the scores depend on: the cell's own, or what imported answers recorded."""
    if "cell" in result.provenance:
        return cell_of_record(result.provenance["cell"]).task
    stored = dict(result.provenance["task"])
    return task_of_record(stored, Evaluation(**stored.pop("evaluation")))


def _rescored(result: CellResult, records: list[dict[str, object]]) -> CellResult:
    task = _task(result)
    score_records(records, task)
    signatures = signatures_of(task)
    kept = tuple(value for value in result.values if _is_kept(value, signatures))
    return replace(
        result,
        values=(*aggregate(records, task, result.trivial), *kept),
        confusion=confusion_record(records, task.labels) if task.labels else None,
        metric_signatures=signatures,
    )


def _is_kept(value: Value, computed: dict[str, str]) -> bool:
    """Whether predictions cannot give the value again: a measurement, or a metric unknown here."""
    record = find(value.metric)
    return not record.is_scored if record else value.metric not in computed
