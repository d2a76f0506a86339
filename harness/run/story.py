"""The state of a cell while it runs: its settings, its results so far, and its answers on disk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.backends.base import AnsweringBackend, Device, answering_backend, elapsed
from harness.datasets.example import Splits
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.plan.cell import Cell
from harness.plan.stages import StageKeys, Surroundings, stage_keys
from harness.results.answers import answers_digest, write_predictions
from harness.results.paths import CellPaths
from harness.results.reading import read_predictions
from harness.results.stages import StageRecord
from harness.run.finite import OVERFLOW, take_out
from harness.scoring.scoring import attach_examples
from harness.trackers.client import Tracking


@dataclass
class Story:
    """A running cell and its results so far."""

    cell: Cell
    paths: CellPaths
    device: Device
    splits: Splits
    job: Mapping[str, Any]
    """``cell.json``."""
    tracking: Tracking | None = None
    """The experiment trackers that follow it."""
    records: list[Prediction] = field(default_factory=list)
    """One per test example."""
    repeats: dict[str, list[Prediction]] = field(default_factory=dict)
    """How an unchanged evaluation was repeated → records of the first test examples."""
    control: list[Prediction] = field(default_factory=list)
    """Scored records of the control set."""
    done: dict[str, StageRecord] = field(default_factory=dict)
    """Stage → what it found out, now or earlier."""
    reused: dict[str, str] = field(default_factory=dict)
    """Stage → the folder of the cell that had done it."""

    @cached_property
    def keys(self) -> StageKeys:
        """The fingerprints of the stages, from the rows as they are."""
        around = Surroundings(self.job["content"], self.job["hardware"])
        return stage_keys(self.cell, around, self.splits.train, self.splits.test)

    @cached_property
    def loaded(self) -> tuple[AnsweringBackend, StageRecord]:
        """The backend with what the cell serves, a fresh base; loaded when a stage asks for it."""
        self.device.stage("load")
        started = time.monotonic()
        backend = answering_backend(self.cell, self.paths, self.device)
        found = backend.load(self.splits.test[0])
        seconds = {"load": elapsed(self.device, started)}
        return backend, StageRecord("", found.numbers, found.facts, seconds)


def write_answers(story: Story) -> None:
    """Keep the answers before they are scored, so that scoring again needs no model.

    Raises:
        HarnessError: numbers in them are not finite; the answers are written without these.
    """
    problems = []
    for answered in (story.records, *story.repeats.values()):
        attach_examples(answered, story.splits.test, story.cell.task)
        problems.append(take_out(answered))
    problems.append(take_out(story.control))
    write_predictions(story.paths.predictions, story.records, durable=False)
    if story.repeats:
        lines = ({"repeat": n, **r} for n, records in story.repeats.items() for r in records)
        write_predictions(story.paths.repeats, lines, durable=False)
    if story.control:
        write_predictions(story.paths.control, story.control, durable=False)
    if problem := next(filter(None, problems), None):
        raise HarnessError(problem, hint=OVERFLOW)


def read_answers(story: Story, record: StageRecord) -> bool:
    """Read back what `write_answers` wrote; False where it is not of these examples.

    Nor is it where the answers are not those that ``record`` was written for.
    """
    try:
        records = read_predictions(story.paths.predictions)
        repeats = read_predictions(story.paths.repeats)
        control = read_predictions(story.paths.control)
    except HarnessError:
        return False
    if [record["id"] for record in records] != [example.id for example in story.splits.test]:
        return False
    if record.answers and record.answers != answers_digest(records):
        return False
    story.records = records
    attach_examples(records, story.splits.test, story.cell.task)  # categories may have been renamed
    for repeat in repeats:
        story.repeats.setdefault(repeat.pop("repeat"), []).append(repeat)
    story.control = control
    return True
