"""The story of one cell: ``cell.json`` in, ``result.json`` out.

``python -m harness.run.worker CELL_DIR`` runs any cell again by hand.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.backends.base import (
    Alone,
    AnsweringBackend,
    Answers,
    Asking,
    Device,
    ReportsSteps,
    ScoresEndings,
    elapsed,
    training_backend,
)
from harness.datasets.control import load_control
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.plan.cell import Cell, as_trained, cell_of_record
from harness.plan.devices import gpus_of
from harness.plan.machine import keep_gpus
from harness.plan.stages import Stage, stages_of
from harness.results.answers import answers_digest, write_predictions
from harness.results.companions import TABLES, companions_of
from harness.results.paths import CellPaths, read_json, settle, sync, write_text
from harness.results.result import CellResult, save_result
from harness.results.stages import StageRecord, clear_stage, copy_stage, load_stage, save_stage
from harness.run.adapter_card import adapter_card
from harness.run.audit import check_leakage, check_rows
from harness.run.batch_size import batches_of, raise_for_smaller_batch
from harness.run.finite import finite_log, finite_numbers
from harness.run.inputs import check_inputs
from harness.run.launcher import ignored_notes, without_launcher
from harness.run.lm_eval_cell import answers_of_task
from harness.run.outcome import outcome_of
from harness.run.placing import placed
from harness.run.repeats import repeats_of
from harness.run.story import Story, read_answers, write_answers
from harness.run.tracking import finished, tracked
from harness.scoring.extra import check_extra_metrics
from harness.scoring.forgetting import control_records
from harness.trackers.client import Tracking


def run_cell(paths: CellPaths, device: Device) -> CellResult:
    """The result of the cell in ``paths``: data, training, answers, measurements, scores.

    A stage that this cell, or an earlier one of other settings, has done under the same
    fingerprint is not done again. Experiment trackers, if the suite names any, follow it.
    """
    job = read_json(paths.cell)
    cell = cell_of_record(job["cell"])
    with tracked(paths, job) as tracking:
        result = finished(tracking, paths, _outcome(cell, job, paths, device, tracking))
    save_result(paths, result)
    return result


def _outcome(
    cell: Cell, job: Mapping[str, Any], paths: CellPaths, device: Device, tracking: Tracking | None
) -> CellResult:
    started = time.monotonic()
    device.stage("data")
    splits = load_splits(
        cell.dataset, Path(cell.base_folder), trained_on=cell.trained_on, cache=paths.overlap
    )
    check_inputs(cell, job)
    check_extra_metrics(cell.evaluation, cell.task)  # a mistake in one must not cost a training
    check_leakage(splits.counts, cell.evaluation)
    story = Story(cell, paths, device, splits, job, tracking=tracking)
    for stage in stages_of(cell):
        if stage != "score":
            _pass(story, stage)
        if stage == "train":  # its record is written: nothing is left to go on with
            shutil.rmtree(paths.checkpoints, ignore_errors=True)
            paths.smaller_batch.unlink(missing_ok=True)
    story.__dict__.pop("loaded", None)  # scoring needs no model
    check_inputs(cell, job)  # model and adapter have been read by now, too
    result = outcome_of(story)
    whole = {"total": elapsed(device, started), "paused": device.paused_seconds(started)}
    result.timings.update(whole)
    result = replace(result, companions=companions_of(paths))
    if paths.adapter.is_dir():
        card = adapter_card(result, source=cell.model.source)
        write_text(paths.adapter / "README.md", card, durable=False)
    # on the disk before the result that counts on them; written after it, they might be torn
    settle(paths.directory / name for name in TABLES)
    sync(paths.directory)
    return result


def _pass(story: Story, stage: Stage) -> None:
    """Take ``stage`` from where it was done under the same fingerprint, or do it and record it."""
    paths, key = story.paths, story.keys.of(stage)
    record = load_stage(paths, stage, key)
    folder = story.job["reuse"].get(stage)
    if "train" in story.done and "train" not in story.reused:
        record, folder = None, None  # an adapter that was trained just now has answered nothing yet
    if record is None and folder is not None:
        source = CellPaths(paths.directory.parent / folder)
        if load_stage(source, stage, key) is not None:
            copy_stage(source, paths, stage)
            record = load_stage(paths, stage, key)
    if record is not None and (stage != "predict" or read_answers(story, record)):
        story.reused[stage] = folder or paths.directory.name
        story.done[stage] = record
        return
    clear_stage(paths, stage)
    work = {"train": _train, "predict": _predict, "measure": _measure}[stage]
    found = replace(work(story), key=key, environment=story.job["environment"])
    finite_numbers(stage, found.numbers)
    found = placed(found, story.job)
    story.done[stage] = save_stage(paths, stage, found)


def _train(story: Story) -> StageRecord:
    """The adapter on disk: trained on audited rows, or a copy of the one that the suite names."""
    paths = story.paths
    cell, batches = batches_of(story.cell, paths)
    if "source" in cell.adapter_config:
        shutil.copytree(cell.adapter_config["source"], paths.adapter)
        return StageRecord("")
    story.device.stage("train")
    began = time.monotonic()
    backend = training_backend(as_trained(cell), paths, story.device)
    if story.tracking and isinstance(backend, ReportsSteps):
        backend.report_steps(story.tracking.log)
    try:
        with without_launcher() as ignored:
            trained = backend.fine_tune(story.splits.train, partial(_accept, cell))
    except Exception as error:
        raise_for_smaller_batch(error, cell)
        raise
    timings = {
        "train": trained.seconds,
        "step": trained.step,
        "prepare": elapsed(story.device, began) - trained.seconds,
    }
    write_predictions(paths.train_log, finite_log(trained.log, cell.training), durable=False)
    facts = {**trained.facts, **batches}
    notes = ignored_notes(cell, ignored)
    if notes:
        facts["settings"] = {"notes": notes}
    return StageRecord("", trained.numbers, facts, timings, trained.audit)


def _accept(cell: Cell, audit: Mapping[str, int]) -> None:
    check_rows(audit, cell.evaluation)


def _predict(story: Story) -> StageRecord:
    """The answers to the test examples, some of them again, and the control set."""
    backend, loaded = story.loaded
    evaluation = story.cell.evaluation
    story.device.stage("predict")
    started = time.monotonic()
    answers = _answers(story, backend)
    story.records = answers.records
    timings = {"predict": elapsed(story.device, started)}
    started = time.monotonic()
    _repeat(story, backend)
    if story.repeats:
        timings["repeat"] = elapsed(story.device, started)
    # a server gives texts alone: its row has no value of the control set
    has_likelihoods = story.cell.task.answered_by != "head" and not story.cell.is_served
    if evaluation.control and has_likelihoods:
        story.control = _control(story.cell, backend, evaluation.control)
    write_answers(story)
    return StageRecord(
        "",
        {**loaded.numbers, **answers.numbers},
        {**loaded.facts, **answers.facts},
        {**loaded.timings, **timings},
        answers=answers_digest(story.records),
    )


def _answers(story: Story, backend: AnsweringBackend) -> Answers:
    """What the loaded model answers to the test examples, or to lm-evaluation-harness's task."""
    if story.cell.task.task == "lm_eval":
        return answers_of_task(story, backend)
    evaluation = story.cell.evaluation
    copies = bool(story.job.get("copies"))
    asking = Asking(evaluation.batch_size, evaluation.sampling_seed, copies=copies)
    return backend.predict(story.splits.test, asking)


def _repeat(story: Story, backend: AnsweringBackend) -> None:
    """The first examples answered again in other batches: what changes by itself is noise."""
    evaluation = story.cell.evaluation
    if story.cell.task.task == "lm_eval":
        return  # a task is asked by the tool as a whole, once
    repeats = repeats_of(
        len(story.splits.test),
        batch_size=evaluation.batch_size,
        examples=evaluation.noise_examples,
        tuned=not story.cell.is_baseline,
    )
    for repeat in repeats:
        # sampled answers are drawn with another seed: the same one would only repeat itself
        asking = Asking(
            repeat.batch_size,
            evaluation.sampling_seed + 1,
            likelihoods=False,
            copies=bool(story.job.get("copies")),
        )
        test = story.splits.test[: repeat.examples]
        story.repeats[repeat.name] = backend.predict(test, asking).records


def _control(cell: Cell, backend: AnsweringBackend, name: str) -> list[Prediction]:
    items = load_control(name, Path(cell.base_folder))
    if not isinstance(backend, ScoresEndings):
        hint = "Delete `evaluation.control`, or choose another backend."
        raise HarnessError(f'backend "{cell.backend}" cannot score a control set', hint=hint)
    scores = backend.score_endings(items)
    return control_records(items, scores.right, scores.wrong)


def _measure(story: Story) -> StageRecord:
    """Latency, throughput and memory, with the device to itself."""
    backend, loaded = story.loaded
    story.device.stage("measure")
    started = time.monotonic()
    with story.device.exclusive():
        found = backend.measure(story.splits.test)
    timings = {"measure": elapsed(story.device, started)}
    facts = dict(found.facts)
    if exclusive := story.device.exclusivity():
        facts["exclusive"] = exclusive
    if story.cell.has_answers:  # what was loaded was noted with the answers
        return StageRecord("", found.numbers, facts, timings)
    return StageRecord(
        "",
        {**loaded.numbers, **found.numbers},
        {**loaded.facts, **facts},
        {**loaded.timings, **timings},
    )


if __name__ == "__main__":
    by_hand = CellPaths(Path(sys.argv[1]))
    keep_gpus(gpus_of(cell_of_record(read_json(by_hand.cell)["cell"])))
    run_cell(by_hand, Alone())
