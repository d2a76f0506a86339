"""What every record of ``predictions.jsonl`` holds besides the model's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.datasets.example import Example, digest
from harness.scoring import Task


def complete(records: Sequence[dict[str, Any]], examples: Sequence[Example], task: Task) -> None:
    """Write the example's fields, its hashes and how it was answered into each record, in place.

    ``records`` may be shorter than ``examples``: they are the first ones, in order.
    """
    for record, example in zip(records, examples, strict=False):
        record.update(
            id=example.id, category=example.category, group=example.group, gold=example.gold,
            reference=example.reference, example_prompt=_asked(example),
            data_hash=digest(example.prompt, example.context, example.reference, example.gold),
            prompt_hash=digest(record["prompt"]), answered_by=task.answered_by,
        )  # fmt: skip
        if task.labels:
            record["label"] = example.reference


def _asked(example: Example) -> str:
    return f"{example.prompt}\n{example.context}" if example.context else example.prompt
