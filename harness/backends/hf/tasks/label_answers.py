"""Labels as answers to a question: learned as text, ranked by likelihood or generated and parsed.

Both sides of a comparison are asked the same question, so a gain is not a change of prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import TrainingRows, encode
from harness.backends.hf.latency.latency import Latency, forward_latency
from harness.backends.hf.tasks import text as generation
from harness.backends.hf.training.trainer import Trained, train_text
from harness.datasets.example import Example
from harness.metrics.classification import parse_label
from harness.plan.cell import Cell
from harness.plan.task import Task


def training_rows_of(
    examples: Sequence[Example], tokenizer: Any, cell: Cell, task: Task
) -> TrainingRows:
    """The question and the label as ids and labels, audited."""
    return generation.training_rows_of(asked(examples, task), tokenizer, cell, task)


def train(model: Any, tokenizer: Any, cell: Cell, rows: TrainingRows, scratch: Path) -> Trained:
    """The adapter trained on ``rows``."""
    return train_text(model, tokenizer, cell, rows, scratch)


def predict(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example], *,
    likelihoods: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """One record per test example with its label, None where an answer names none."""
    if task.answered_by == "generation":
        records = generation.predict(
            model, tokenizer, cell, task, asked(test, task), likelihoods=likelihoods
        )
        for record in records:
            record["predicted_label"] = parse_label(record["prediction"], task.labels)
        return records
    return _ranked(model, tokenizer, cell, task, test)


def _ranked(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example]
) -> list[dict[str, Any]]:
    """Log-likelihood per byte of each label as the answer (lm-evaluation-harness's `acc_norm`)."""
    questions = asked(test, task)
    answered = [replace(example, reference=label) for example in questions for label in task.labels]
    rows = [row.led for row in encode(cell.model, tokenizer, answered)]
    found = score_answers(
        model, rows, pad=tokenizer.pad_token_id, batch_size=cell.evaluation.batch_size
    )
    step = len(task.labels)
    sizes = [len(label.encode()) for label in task.labels]
    records = []
    for k in range(len(questions)):
        chunk = found[k * step : (k + 1) * step]
        scores = [-score.nll / size for score, size in zip(chunk, sizes, strict=True)]
        records.append(label_record(rows[k * step].prompt, scores, task.labels))
    return records


def label_record(prompt: str, scores: Sequence[float], labels: Sequence[str]) -> dict[str, Any]:
    """The record of an example whose ``labels`` have ``scores``: the best one is predicted."""
    best = labels[max(range(len(scores)), key=scores.__getitem__)]
    return {
        "prompt": prompt,
        "prediction": best,
        "predicted_label": best,
        "label_scores": dict(zip(labels, scores, strict=True)),
        "finish_reason": "stop",
    }


def latency(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> Latency:
    """Seconds of one forward pass over each of the first questions.

    Ranking labels needs one pass for each label; one is timed.
    """
    count = cell.evaluation.latency_prompts
    prompts = generation.first_prompts(tokenizer, cell, test, count)
    found: Latency = forward_latency(model, prompts)
    return found


def throughput(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> dict[str, float]:
    """Tokens per second of one full batch, decoded to a fixed length."""
    return generation.throughput(model, tokenizer, cell, test)


def asked(examples: Sequence[Example], task: Task) -> list[Example]:
    """``examples`` with the question that names the labels."""
    choices = ", ".join(task.labels)
    return [
        replace(e, prompt=f"{e.prompt}\n\nWhich of these is the text: {choices}?") for e in examples
    ]
