"""The label task: a trained head, or for the baseline the likelihood of each label as an answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harness.cell import Cell
from harness.datasets.example import Example
from harness.hf.encoding import encode, encode_prompt, prompt_text
from harness.hf.likelihood import score_answers
from harness.hf.measuring import Latency, forward_latency
from harness.hf.training import Trained, train_labels
from harness.scoring import Task


@dataclass(frozen=True)
class LabelRows:
    """Rows of ``input_ids`` and a label index, and what the audit counted."""

    rows: list[dict[str, Any]]
    audit: dict[str, int]


def training_rows_of(
    examples: Sequence[Example], tokenizer: Any, cell: Cell, task: Task
) -> LabelRows:
    """``examples`` as ids and label indices; rows over `max_length` are cut and counted."""
    limit = cell.training.get("max_length", 1024)
    rows, cut, tokens = [], 0, 0
    for example in examples:
        ids = _text_ids(tokenizer, example)
        cut += len(ids) > limit
        tokens += min(len(ids), limit)
        rows.append({"input_ids": ids[:limit], "labels": task.labels.index(example.reference)})
    return LabelRows(rows, {"rows": len(rows), "rows_cut": cut, "tokens": tokens})


def train(model: Any, tokenizer: Any, cell: Cell, rows: LabelRows, scratch: Path) -> Trained:
    """The adapter and the head trained on ``rows``."""
    return train_labels(model, tokenizer, cell, rows.rows, scratch)


def predict(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example]
) -> list[dict[str, Any]]:
    """One record per test example with a score per label and the best label."""
    ranked = _by_likelihood if cell.is_baseline else _by_head
    prompts, scores = ranked(model, tokenizer, cell, task, test)
    return [
        {
            "prompt": prompt,
            "prediction": task.labels[max(range(len(row)), key=row.__getitem__)],
            "predicted_label": task.labels[max(range(len(row)), key=row.__getitem__)],
            "label_scores": dict(zip(task.labels, row, strict=True)),
            "finish_reason": "stop",
        }
        for prompt, row in zip(prompts, scores, strict=True)
    ]


@torch.inference_mode()
def _by_head(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example]
) -> tuple[list[str], list[list[float]]]:
    """Log-probabilities of the head, in batches of the examples sorted by length."""
    ids = [_text_ids(tokenizer, example) for example in test]
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    found: dict[int, list[float]] = {}
    for first in range(0, len(order), cell.evaluation.batch_size):
        chunk = order[first : first + cell.evaluation.batch_size]
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chunk]}, return_tensors="pt")
        logits = model(**batch.to(model.device)).logits.float().log_softmax(-1)
        found.update(zip(chunk, logits.tolist(), strict=True))
    return [example.prompt for example in test], [found[i] for i in range(len(ids))]


def _by_likelihood(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example]
) -> tuple[list[str], list[list[float]]]:
    """Log-likelihood per byte of each label as the answer (lm-evaluation-harness's `acc_norm`)."""
    asked = [replace(example, prompt=_question(example, task)) for example in test]
    rows = [
        encode(cell.model, tokenizer, replace(example, reference=label))
        for example in asked
        for label in task.labels
    ]
    found = score_answers(
        model, rows, pad=tokenizer.pad_token_id, batch_size=cell.evaluation.batch_size
    )
    sizes = [len(label.encode()) for label in task.labels]
    flat = [-score.nll for score in found]
    step = len(sizes)
    scores = [
        [nll / size for nll, size in zip(flat[i : i + step], sizes, strict=True)]
        for i in range(0, len(flat), step)
    ]
    return [prompt_text(cell.model, tokenizer, example) for example in asked], scores


def _question(example: Example, task: Task) -> str:
    return f"{example.prompt}\n\nWhich of these is the text: {', '.join(task.labels)}?"


def _text_ids(tokenizer: Any, example: Example) -> list[int]:
    text = f"{example.prompt}\n{example.context}" if example.context else example.prompt
    ids: list[int] = tokenizer(text).input_ids
    return ids


def latency(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> Latency:
    """Seconds of one forward pass for each of the first test texts.

    A baseline is timed on its prompt, once: ranking labels needs one pass for each label.
    """
    chosen = test[: cell.evaluation.latency_prompts]
    if cell.is_baseline:
        prompts = [encode_prompt(cell.model, tokenizer, example) for example in chosen]
    else:
        prompts = [_text_ids(tokenizer, example) for example in chosen]
    found: Latency = forward_latency(model, prompts)
    return found


@torch.inference_mode()
def throughput(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> dict[str, float]:
    """Examples per second of one full batch."""
    ids = [_text_ids(tokenizer, example) for example in test[: cell.evaluation.batch_size]]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)
    started = time.perf_counter()
    model(**batch).logits.cpu()
    return {"batch_examples_per_s": len(ids) / (time.perf_counter() - started)}
