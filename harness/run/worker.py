"""The story of one cell: ``cell.json`` in, ``result.json`` out.

``python -m harness.run.worker CELL_DIR`` runs any cell again by hand.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from harness.backends.base import Alone, Device, Seen, backend_of, elapsed
from harness.datasets.example import Splits
from harness.datasets.splits import load_splits
from harness.plan.cell import cell_of_record
from harness.plan.machine import keep_one_gpu
from harness.results.paths import CellPaths, read_json, write_text
from harness.results.result import CellResult, save_result, write_predictions
from harness.run.adapter_card import adapter_card
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.extra import check_extra_metrics
from harness.scoring.forgetting import control_values
from harness.scoring.noise import noise_of
from harness.scoring.scoring import complete, score_records, signatures_of
from harness.scoring.trivial import trivial_answers

OTHERS_SECONDS = 0.02
"""Processor seconds of other cells that a latency may have been measured beside: two ticks of the
kernel's clock, by which they are counted."""


def run_cell(paths: CellPaths, device: Device) -> CellResult:
    """The result of the cell in ``paths``: data, baseline or fine-tuned model, scores, cost."""
    job = read_json(paths.cell)
    evaluate_cell = backend_of(job.get("backend", "hf"))
    cell = cell_of_record(job["cell"])
    started = time.monotonic()
    device.stage("data")
    task = cell.task
    splits = load_splits(cell.dataset, Path(cell.base_folder), cache=paths.overlap)
    check_extra_metrics(cell.evaluation, task)  # a mistake in one must not cost a training
    seen = evaluate_cell(cell, task, splits, paths, device)
    device.stage("score")
    complete(seen.records, splits.test, task)
    score_records(seen.records, task)
    for again in seen.repeats.values():
        complete(again, splits.test, task)
        score_records(again, task)
    trivial = trivial_answers(splits, task)
    scores = aggregate(seen.records, task, trivial) if seen.records else []
    scores += control_values(seen.control)
    values = [*scores, *seen.values]
    _note_exclusivity(seen, device.exclusivity())
    write_predictions(paths.predictions, seen.records)
    if seen.control:
        write_predictions(paths.control, seen.control)
    write_train_log(paths, seen.train_log)
    whole = {"total": elapsed(device, started), "paused": device.paused_seconds(started)}
    result = CellResult(
        **job["axes"],
        key=job["key"],
        status="ok",
        fingerprint=job["fingerprint"],
        task=task.task,
        primary_metric=task.primary_metric,
        values=tuple(values),
        audit=seen.audit,
        data=_data_record(splits, job["content"]),
        facts=seen.facts,
        timings={**seen.timings, **whole},
        answered_by=task.answered_by,
        trivial=trivial,
        noise=noise_of(seen.records, seen.repeats, task.labels),
        confusion=confusion_record(seen.records, task.labels)
        if task.labels and seen.records
        else None,
        metric_signatures=signatures_of(task),
        provenance={"cell": job["cell"], "environment": job["environment"]},
    )
    if paths.adapter.is_dir():
        write_text(paths.adapter / "README.md", adapter_card(result, source=cell.model.source))
    save_result(paths, result)
    return result


def _data_record(splits: Splits, content: dict[str, str]) -> dict[str, Any]:
    """Rows counted on their way, how files were read, and what train and test share."""
    overlap = {"overlap": splits.overlap.record()} if splits.overlap else {}
    notes = {"notes": list(splits.notes)} if splits.notes else {}
    return {**splits.counts, **overlap, **notes, "content": content}


def _note_exclusivity(seen: Seen, found: dict[str, float]) -> None:
    """Keep how alone the cell was while it measured, and warn where it was not."""
    if not found:
        return
    seen.facts["exclusive"] = found
    running, used = found.get("running", 0), found.get("others_cpu_seconds", 0.0)
    if running or used > OTHERS_SECONDS:
        text = f"{running:g} other cells did not stop; together they used {used:.2f} s of processor"
        seen.audit.setdefault("warnings", []).append(f"latency was not measured alone: {text}")


def write_train_log(paths: CellPaths, log: list[dict[str, Any]]) -> None:
    """One JSON line per logged step; no file for a baseline."""
    import json

    if log:
        write_text(paths.train_log, "".join(f"{json.dumps(record)}\n" for record in log))


if __name__ == "__main__":
    keep_one_gpu()
    run_cell(CellPaths(Path(sys.argv[1])), Alone())
