"""How long a suite will take here, from some of its own cells cut short.

One fine-tuned cell of every model × quantization × data set runs for a few steps and one batch of
test examples, through the very code that `run` uses and side by side as there, where there are as
many; the others are scaled from it.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from harness.datasets.splits import load_splits
from harness.plan.cell import Cell, evaluated
from harness.plan.decision import Decision
from harness.plan.plan import Plan
from harness.plan.preflight import preflight
from harness.results.paths import RunPaths
from harness.results.result import load_result
from harness.run.executors.base import Event, executor_of
from harness.run.repeats import repeats_of
from harness.run.runner import run_suite
from harness.suite.options import training_value

STEPS = 4
"""Training steps of a shortened cell; the first is not counted."""


@dataclass(frozen=True)
class Expected:
    """Seconds that the cells of a plan are expected to take."""

    cells: dict[str, float]
    """Cell key → seconds, data and scoring included."""
    alone: float
    """Of these, seconds of measuring, while the other cells are stopped."""
    start: float
    """Seconds until the first cell begins: the libraries' import."""
    spent: float
    """Seconds that the shortened cells took."""
    at_once: int
    """Cells that run side by side."""

    @property
    def total(self) -> float:
        """Until the last cell ends: side by side but for measuring."""
        beside = max(1, min(self.at_once, len(self.cells)))
        return self.start + self.alone + (sum(self.cells.values()) - self.alone) / beside


def calibrate(plan: Plan, tell: Callable[[Event], None] = lambda _: None) -> Expected:
    """Run shortened cells of what ``plan`` would run, and scale their times to all of it."""
    todo = plan.of("run")
    chosen = _chosen(plan)
    where = executor_of(plan.executor, devices=plan.devices, address=plan.address)
    heard = list[float]()

    def hear(event: Event) -> None:
        heard.append(time.monotonic())
        tell(event)

    of_set = {d.cell.dataset.name: d.cell for d in chosen.values()}
    sizes = {name: _sizes(cell) for name, cell in of_set.items()}
    with tempfile.TemporaryDirectory() as folder:
        run = RunPaths(Path(folder))
        cut = [_shortened(d.cell, sizes[d.cell.dataset.name].test) for d in chosen.values()]
        short = preflight(cut, where.site(), run)
        began = time.monotonic()
        run_suite(replace(plan, run=run, decisions=tuple(short)), where, hear)
        results = [load_result(run.cell(d.key).result) for d in short]
    timings = {
        kind: found.timings
        for kind, found in zip(chosen, results, strict=True)
        if found is not None and found.status == "ok"
    }
    known = [decision for decision in todo if _kind(decision.cell) in timings]
    cells = {d.key: _seconds(d, timings[_kind(d.cell)], sizes[d.cell.dataset.name]) for d in known}
    alone = sum(timings[_kind(d.cell)].get("measure", 0.0) for d in known if "measure" in d.stages)
    start = heard[0] - began if heard else 0.0
    return Expected(cells, alone, start, time.monotonic() - began, where.at_once())


def shortened(plan: Plan) -> int:
    """How many cells `calibrate` runs."""
    return len(_chosen(plan))


def _chosen(plan: Plan) -> dict[tuple[str, ...], Decision]:
    """One cell of every model × quantization × data set, a fine-tuned one where there is one."""
    found: dict[tuple[str, ...], Decision] = {}
    todo = plan.of("run")
    # of the fine-tuned ones rather one that measures: others may have to
    for decision in sorted(todo, key=lambda d: (d.cell.is_baseline, "measure" not in d.stages)):
        found.setdefault(_kind(decision.cell), decision)
    return found


class _Sizes(NamedTuple):
    train: int
    test: int


def _kind(cell: Cell) -> tuple[str, ...]:
    return tuple(str(cell.axes[axis]) for axis in ("model", "quantization", "dataset"))


def _sizes(cell: Cell) -> _Sizes:
    splits = load_splits(cell.dataset, Path(cell.base_folder), trained_on=cell.trained_on)
    return _Sizes(len(splits.train), len(splits.test))


def _shortened(cell: Cell, test: int) -> Cell:
    training = {k: v for k, v in cell.training.items() if k != "num_train_epochs"}
    size = min(test, cell.evaluation.batch_size)
    shorter = "test" if cell.dataset.lm_eval_task is None else "limit"
    return replace(
        evaluated(cell, noise_examples=0, control=None),
        training={**training, "max_steps": STEPS},
        dataset=cell.dataset.model_copy(update={shorter: size}),
    )


def _seconds(decision: Decision, short: dict[str, float], sizes: _Sizes) -> float:
    """What the cell of ``decision`` takes, from the ``short`` timings of its kind."""
    cell, todo = decision.cell, decision.stages
    each = {
        name: short.get(name, 0.0) for name in ("train", "prepare", "load", "predict", "measure")
    }
    seconds = short["total"] - sum(each.values())
    if "train" in todo:
        further = _steps(cell, sizes.train) - STEPS
        seconds += each["prepare"] + each["train"] + further * short.get("step", 0.0)
    if "predict" in todo:
        repeats = repeats_of(
            sizes.test,
            batch_size=cell.evaluation.batch_size,
            examples=cell.evaluation.noise_examples,
            tuned=not cell.is_baseline,
        )
        answered = sizes.test + sum(repeat.examples for repeat in repeats)
        seconds += each["predict"] * answered / min(sizes.test, cell.evaluation.batch_size)
    if "measure" in todo:
        seconds += each["measure"]
    if "predict" in todo or "measure" in todo:
        seconds += each["load"]
    return seconds


def _steps(cell: Cell, rows: int) -> int:
    """Optimizer steps of training, as the trainer counts them."""
    options = cell.training
    if training_value(options, "max_steps") > 0:
        return int(options["max_steps"])
    batches = math.ceil(rows / int(training_value(options, "per_device_train_batch_size")))
    each = math.ceil(batches / int(training_value(options, "gradient_accumulation_steps")))
    return math.ceil(each * float(training_value(options, "num_train_epochs")))
