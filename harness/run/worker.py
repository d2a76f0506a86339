"""The story of one cell: ``cell.json`` in, ``result.json`` out.

``python -m harness.run.worker CELL_DIR`` runs any cell again by hand.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.backends.base import (
    Alone,
    AnsweringBackend,
    Asking,
    BackendResult,
    Device,
    Record,
    ScoresEndings,
    answering_backend,
    elapsed,
    training_backend,
)
from harness.datasets.control import load_control
from harness.datasets.example import Splits
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.plan.cell import Cell, cell_of_record
from harness.plan.machine import keep_one_gpu
from harness.results.paths import CellPaths, read_json, write_text
from harness.results.result import CellResult, save_result, value_of, write_predictions
from harness.run.adapter_card import adapter_card
from harness.run.audit import check_leakage, check_rows
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.extra import check_extra_metrics
from harness.scoring.forgetting import control_records, control_values
from harness.scoring.noise import noise_of
from harness.scoring.scoring import complete, score_records, signatures_of
from harness.scoring.trivial import trivial_answers

OTHERS_SECONDS = 0.02
"""Processor seconds of other cells that a latency may have been measured beside: two ticks of the
kernel's clock, by which they are counted."""


@dataclass
class _Story:
    """One cell on its way, and what was found out so far."""

    cell: Cell
    paths: CellPaths
    device: Device
    splits: Splits
    records: list[Record] = field(default_factory=list)
    """One per test example."""
    repeats: dict[str, list[Record]] = field(default_factory=dict)
    """How an unchanged evaluation was repeated → records of the first test examples."""
    control: list[Record] = field(default_factory=list)
    """Scored records of the control set."""
    audit: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)

    def keep(self, result: BackendResult) -> None:
        """Add what a verb of the backend found out."""
        self.numbers |= result.numbers
        self.facts |= result.facts

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Note the seconds of the enclosed ``phase``, without those that it stood still."""
        started = time.monotonic()
        yield
        self.timings[phase] = elapsed(self.device, started)


def run_cell(paths: CellPaths, device: Device) -> CellResult:
    """The result of the cell in ``paths``: data, training, answers, measurements, scores."""
    started = time.monotonic()
    job = read_json(paths.cell)
    cell = cell_of_record(job["cell"])
    device.stage("data")
    splits = load_splits(cell.dataset, Path(cell.base_folder), cache=paths.overlap)
    check_extra_metrics(cell.evaluation, cell.task)  # a mistake in one must not cost a training
    story = _Story(cell, paths, device, splits)
    story.audit["warnings"] = check_leakage(story.splits.counts, cell.evaluation)
    if not cell.is_baseline:
        _train(story)
    backend = _load(story)
    if cell.has_answers:
        _predict(story, backend)
    if cell.is_measured:
        _measure(story, backend)
    result = _score(story, job)
    whole = {"total": elapsed(device, started), "paused": device.paused_seconds(started)}
    result.timings.update(whole)
    if paths.adapter.is_dir():
        write_text(paths.adapter / "README.md", adapter_card(result, source=cell.model.source))
    save_result(paths, result)
    return result


def _train(story: _Story) -> None:
    """The adapter on disk: trained on audited rows, or a copy of the one that the suite names."""
    cell, paths = story.cell, story.paths
    if paths.adapter.is_dir():  # of an attempt that ended early
        shutil.rmtree(paths.adapter)
    if "source" in cell.adapter_config:
        shutil.copytree(cell.adapter_config["source"], paths.adapter)
        return
    story.device.stage("train")
    began = time.monotonic()
    backend = training_backend(cell, paths, story.device)
    trained = backend.fine_tune(story.splits.train, lambda a: _accept(a, cell))
    story.timings |= {
        "train": trained.seconds,
        "step": trained.step,
        "prepare": elapsed(story.device, began) - trained.seconds,
    }
    story.audit |= trained.audit
    story.audit["warnings"] += check_rows(trained.audit, cell.evaluation)
    story.keep(trained)
    write_train_log(paths, trained.log)


def _accept(audit: Any, cell: Cell) -> None:
    check_rows(audit, cell.evaluation)


def _load(story: _Story) -> AnsweringBackend:
    """The backend with what the cell serves: a fresh base, the saved adapter attached."""
    story.device.stage("load")
    backend = answering_backend(story.cell, story.paths, story.device)
    with story.timed("load"):
        story.keep(backend.load(story.splits.test[0]))
    return backend


def _predict(story: _Story, backend: AnsweringBackend) -> None:
    """The answers to the test examples; of a baseline some twice more; the control set."""
    evaluation = story.cell.evaluation
    story.device.stage("predict")
    with story.timed("predict"):
        asking = Asking(evaluation.batch_size, evaluation.sampling_seed)
        answers = backend.predict(story.splits.test, asking)
    story.keep(answers)
    story.records = answers.records
    if story.cell.is_baseline and evaluation.noise_examples:
        with story.timed("repeat"):
            _repeat(story, backend)
    if evaluation.control and story.cell.task.answered_by != "head":
        story.control = _control(story.cell, backend, evaluation.control)


def _repeat(story: _Story, backend: AnsweringBackend) -> None:
    """The first examples answered again, at the same batch size and at half of it."""
    evaluation = story.cell.evaluation
    size = evaluation.batch_size
    test = story.splits.test[: evaluation.noise_examples]
    for name, batch_size in (("again", size), ("half batch", max(1, size // 2))):
        # sampled answers are drawn with another seed: the same one would only repeat itself
        asking = Asking(batch_size, evaluation.sampling_seed + 1, likelihoods=False)
        story.repeats[name] = backend.predict(test, asking).records


def _control(cell: Cell, backend: AnsweringBackend, name: str) -> list[Record]:
    items = load_control(name, Path(cell.base_folder))
    if not isinstance(backend, ScoresEndings):
        hint = "Delete `evaluation.control`, or choose another backend."
        raise HarnessError(f'backend "{cell.backend}" cannot score a control set', hint=hint)
    scores = backend.score_endings(items)
    return control_records(items, scores.right, scores.wrong)


def _measure(story: _Story, backend: AnsweringBackend) -> None:
    """Latency, throughput and memory, with the device to itself."""
    story.device.stage("measure")
    with story.timed("measure"), story.device.exclusive():
        story.keep(backend.measure(story.splits.test))
    _note_exclusivity(story)


def _note_exclusivity(story: _Story) -> None:
    """Keep how alone the cell was while it measured, and warn where it was not."""
    seen = story.device.exclusivity()
    if not seen:
        return
    story.facts["exclusive"] = seen
    running, used = seen.get("running", 0), seen.get("others_cpu_seconds", 0.0)
    if running or used > OTHERS_SECONDS:
        text = f"{running:g} other cells did not stop; together they used {used:.2f} s of processor"
        story.audit["warnings"].append(f"latency was not measured alone: {text}")


def _score(story: _Story, job: dict[str, Any]) -> CellResult:
    """Every number that follows from the answers, beside what was measured."""
    task, paths, records = story.cell.task, story.paths, story.records
    story.device.stage("score")
    for answered in (records, *story.repeats.values()):
        complete(answered, story.splits.test, task)
        score_records(answered, task)
    trivial = trivial_answers(story.splits, task)
    scores = aggregate(records, task, trivial) if records else []
    scores += control_values(story.control)
    measured = [value_of(name, number) for name, number in story.numbers.items()]
    write_predictions(paths.predictions, records)
    if story.control:
        write_predictions(paths.control, story.control)
    return CellResult(
        **job["axes"],
        key=job["key"],
        status="ok",
        fingerprint=job["fingerprint"],
        task=task.task,
        primary_metric=task.primary_metric,
        values=(*scores, *measured),
        audit=story.audit,
        data=_data_record(story.splits, job["content"]),
        facts=story.facts,
        timings=story.timings,
        answered_by=task.answered_by,
        trivial=trivial,
        noise=noise_of(records, story.repeats, task.labels),
        confusion=confusion_record(records, task.labels) if task.labels and records else None,
        metric_signatures=signatures_of(task),
        provenance={"cell": job["cell"], "environment": job["environment"]},
    )


def _data_record(splits: Splits, content: dict[str, str]) -> dict[str, Any]:
    """Rows counted on their way, how files were read, and what train and test share."""
    overlap = {"overlap": splits.overlap.record()} if splits.overlap else {}
    notes = {"notes": list(splits.notes)} if splits.notes else {}
    return {**splits.counts, **overlap, **notes, "content": content}


def write_train_log(paths: CellPaths, log: Iterable[dict[str, float]]) -> None:
    """One JSON line per logged step."""
    write_predictions(paths.train_log, log)


if __name__ == "__main__":
    keep_one_gpu()
    run_cell(CellPaths(Path(sys.argv[1])), Alone())
