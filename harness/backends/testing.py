"""A deterministic backend without torch, for tests of executors and of scale; never for results.

The baseline copies half of the references, an adapter three quarters; a data set's examples
decide which, so that a run repeats exactly.
"""

from __future__ import annotations

import hashlib
from typing import Any

from harness.backends.base import Device, Seen
from harness.datasets.example import Example, Splits
from harness.plan.cell import Cell
from harness.plan.task import Task
from harness.results.paths import CellPaths


def evaluate_cell(cell: Cell, task: Task, splits: Splits, paths: CellPaths, device: Device) -> Seen:
    """Predictions that are right for a share of the examples fixed by the adapter."""
    seen = Seen()
    if not cell.is_baseline:
        device.stage("train")
        paths.adapter.mkdir(parents=True, exist_ok=True)
    device.stage("predict")
    seen.records = [_record(cell, task, example) for example in splits.test]
    seen.measured({"latency_p50_ms": 1.0, "batch_tokens_per_s": 1000.0})
    return seen


def _record(cell: Cell, task: Task, example: Example) -> dict[str, Any]:
    right = _share(example.id, cell.seed) < (0.5 if cell.is_baseline else 0.75)
    record: dict[str, Any] = {
        "prompt": example.prompt, "prediction": example.reference if right else "…",
        "finish_reason": "stop", "new_tokens": 1,
    }  # fmt: skip
    if task.labels:
        wrong = next(label for label in task.labels if label != example.reference)
        predicted = example.reference if right else wrong
        record |= {"prediction": predicted, "predicted_label": predicted}
    return record


def _share(text: str, seed: int | None) -> float:
    """A number in [0, 1) that ``text`` and ``seed`` decide."""
    digest = hashlib.sha256(f"{text}/{seed}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
