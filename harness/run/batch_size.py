"""Smaller batches for a training that ran out of memory, where the suite allows them.

`training.auto_find_batch_size: true` is transformers' key, whose trainer halves the batch within
a run and keeps the accumulation: every step then learns from fewer rows, and nothing says so. Here
the next attempt (`--retry`) halves it and accumulates over more batches, so that a step learns from
the same rows, and the result says with which sizes it trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from harness.counting import counted
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.results.paths import CellPaths, read_json
from harness.run.executors.lost import SMALLER_BATCH
from harness.suite.options import training_value

ALLOWED = "auto_find_batch_size"
SIZE, ACCUMULATED = "per_device_train_batch_size", "gradient_accumulation_steps"
_WORDS = ("out of memory", "not enough memory", "can't allocate memory")
"""What libraries say where the type of their error does not: a CPU's allocator raises a plain
`RuntimeError`."""


class Batches(NamedTuple):
    """A cell and what is said of its batches, if they are smaller than its suite's."""

    cell: Cell
    facts: dict[str, object]


def batches_of(cell: Cell, paths: CellPaths) -> Batches:
    """``cell`` with the batch that this attempt is to train with."""
    # the kernel ends a worker without a word, so it is noted whatever the suite allows
    if not (cell.training.get(ALLOWED) and paths.smaller_batch.is_file()):
        return Batches(cell, {})
    halvings = int(read_json(paths.smaller_batch)["halvings"])
    whole = int(training_value(cell.training, SIZE))
    accumulated = int(training_value(cell.training, ACCUMULATED))
    size = _halved(whole, halvings)
    changed = {SIZE: size, ACCUMULATED: accumulated * (whole // size)}
    note = (
        f"memory ran out with batches of {counted(whole, 'row')}; trained with batches of {size},"
        f" of which {changed[ACCUMULATED]} make a step, so a step learned from as many rows"
    )
    smaller = replace(cell, training={**cell.training, **changed})
    return Batches(smaller, {"batch": {**changed, "notes": [note]}})


def raise_for_smaller_batch(error: Exception, cell: Cell) -> None:
    """Say that a smaller batch may fit, if ``error`` is a want of memory and the suite allows it.

    Raises:
        HarnessError: which an executor takes as a cell worth another attempt.
    """
    size = int(training_value(cell.training, SIZE))
    if not cell.training.get(ALLOWED) or size == 1 or not _is_out_of_memory(error):
        return
    raise HarnessError(
        f"training ran out of memory with batches of {counted(size, 'row')}; {SMALLER_BATCH}",
        hint="`harness run --retry 1` tries half of them, accumulated over twice as many batches.",
    ) from error


def _halved(whole: int, times: int) -> int:
    """``whole`` halved so often, or less: a divisor, so that a step has exactly its rows."""
    limit = max(1, whole >> times)
    return next(size for size in range(limit, 0, -1) if whole % size == 0)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)
