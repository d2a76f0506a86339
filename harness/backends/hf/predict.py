"""Answers of a finished cell to new prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.backends.hf.models.loading import load_served, load_tokenizer
from harness.backends.hf.tasks import label_answers
from harness.backends.hf.tasks import text as generation
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.plan.task import Task
from harness.results.paths import CellPaths


def answers(cell: Cell, task: Task, paths: CellPaths, prompts: Sequence[str]) -> list[str]:
    """One answer per prompt, by the cell's own base, adapter, prompt style and decoding.

    A trained head answers through transformers' text-classification pipeline.

    Raises:
        HarnessError: the cell's adapter is gone.
    """
    if not cell.is_baseline and not paths.adapter.is_dir():
        hint = "Run the suite again; the adapter is trained anew."
        raise HarnessError("the adapter is gone", where=str(paths.adapter), hint=hint)
    tokenizer = load_tokenizer(cell.model)
    headed = task.labels if task.answered_by == "head" else ()
    model = load_served(cell, tokenizer, Path(paths.adapter), labels=headed)
    if headed:
        from transformers import pipeline

        classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
        return [found["label"] for found in classify(list(prompts))]
    examples = [Example(id=str(k), prompt=p, reference="") for k, p in enumerate(prompts)]
    if task.task == "classification":
        records = label_answers.predict(model, tokenizer, cell, task, examples)
        return [record["predicted_label"] or record["prediction"] for record in records]
    return [r["prediction"] for r in generation.predict(model, tokenizer, cell, task, examples)]
