"""The label task by a trained head; its baseline, which has none, ranks the labels as answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.backends.hf.control_text import ControlText
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.latency.latency import Latency, forward_latency
from harness.backends.hf.tasks import label_answers
from harness.backends.hf.training.trainer import Trained, train_labels
from harness.datasets.example import Example
from harness.plan.cell import Cell
from harness.plan.task import Task


def training_rows_of(
    examples: Sequence[Example], tokenizer: Any, cell: Cell, task: Task
) -> TrainingRows:
    """``examples`` as ids and label indices; rows over `max_length` are cut and counted."""
    limit = cell.training.get("max_length", 1024)
    rows, cut, tokens = [], 0, 0
    for example, ids in zip(examples, _text_ids(tokenizer, examples), strict=True):
        cut += len(ids) > limit
        tokens += min(len(ids), limit)
        rows.append({"input_ids": ids[:limit], "labels": task.labels.index(example.reference)})
    return TrainingRows(rows, {"rows": len(rows), "rows_cut": cut, "tokens": tokens})


def train(model: Any, tokenizer: Any, cell: Cell, rows: TrainingRows, scratch: Path) -> Trained:
    """The adapter and the head trained on ``rows``."""
    return train_labels(model, tokenizer, cell, rows, scratch)


def predict(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example], *,
    likelihoods: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """One record per test example with a score per label and the best label."""
    if cell.is_baseline:
        return label_answers.predict(model, tokenizer, cell, task, test, likelihoods=likelihoods)
    scores = _by_head(model, tokenizer, cell, test)
    return [
        label_answers.label_record(example.prompt, row, task.labels)
        for example, row in zip(test, scores, strict=True)
    ]


@torch.inference_mode()
def _by_head(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> list[list[float]]:
    """Log-probabilities of the head, in batches of the examples sorted by length."""
    ids = _text_ids(tokenizer, test)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    found: dict[int, list[float]] = {}
    for first in range(0, len(order), cell.evaluation.batch_size):
        chunk = order[first : first + cell.evaluation.batch_size]
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chunk]}, return_tensors="pt")
        logits = model(**batch.to(model.device)).logits.float().log_softmax(-1)
        found.update(zip(chunk, logits.tolist(), strict=True))
    return [found[i] for i in range(len(ids))]


def _text_ids(tokenizer: Any, examples: Sequence[Example]) -> list[list[int]]:
    texts = [f"{e.prompt}\n{e.context}" if e.context else e.prompt for e in examples]
    text = ControlText(tokenizer)
    return text.ids([text.mark(one) for one in texts], add_special_tokens=True)


def latency(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> Latency:
    """Seconds of one forward pass for each of the first test texts."""
    if cell.is_baseline:
        return label_answers.latency(model, tokenizer, cell, test)
    prompts = _text_ids(tokenizer, test[: cell.evaluation.latency_prompts])
    found: Latency = forward_latency(model, prompts)
    return found


@torch.inference_mode()
def throughput(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> dict[str, float]:
    """Examples per second of one full batch."""
    ids = _text_ids(tokenizer, test[: cell.evaluation.batch_size])
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)
    started = time.perf_counter()
    model(**batch).logits.cpu()
    return {"batch_examples_per_s": len(ids) / (time.perf_counter() - started)}
