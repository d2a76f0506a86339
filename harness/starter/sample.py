"""Rows of a data file that the tiny model can hold, as a small file of their own.

Its context is 1,024 tokens of a small vocabulary: an answer of 300 words does not fit, and a run
refuses what does not fit rather than cut it. What the file holds is as it was, row by row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from harness.datasets.example import Example
from harness.starter.choices import LEAST_FITTING, TINY_TEST, TINY_TRAIN, fitting
from harness.starter.data import Looked

MOST_ROWS = 2 * (TINY_TRAIN + TINY_TEST)
"""Rows of a sample: a tiny run takes half of them."""


class Sample(NamedTuple):
    """A small file beside the suite."""

    name: str
    examples: tuple[Example, ...]
    has_gold: bool
    """Whether the rows have a column `gold`."""


def sample_of(looked: Looked, name: str) -> Sample | None:
    """The sample that a tiny run of ``looked`` needs; None where it needs none.

    It has no examples where too few rows are short enough.
    """
    if looked.is_built_in:
        return None
    short = fitting(looked)
    if len(short) == len(looked.examples):
        return None
    kept = short[:MOST_ROWS] if len(short) >= LEAST_FITTING else ()
    return Sample(f"{name}.sample.jsonl", kept, any(example.gold for example in kept))


def sample_text(examples: Sequence[Example]) -> str:
    """``examples`` as JSON lines that a suite reads without naming columns."""
    return "".join(json.dumps(_row(e), ensure_ascii=False) + "\n" for e in examples)


def _row(example: Example) -> dict[str, object]:
    optional = {"gold": example.gold, "category": example.category}
    more: dict[str, object] = {key: value for key, value in optional.items() if value}
    if example.system or example.history:
        system = [{"role": "system", "content": example.system}] if example.system else []
        turns = [{"role": turn.role, "content": turn.content} for turn in example.history]
        user = f"{example.prompt}\n\n{example.context}" if example.context else example.prompt
        last = [
            {"role": "user", "content": user},
            {"role": "assistant", "content": example.reference},
        ]
        return {"messages": [*system, *turns, *last], **more}
    answers = list(example.references) or example.reference
    row = {"instruction": example.prompt, "input": example.context, "output": answers}
    return {**row, **more}
