"""Less memory for the records of a run: what is equal in many of them is one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harness.metrics.prediction import Prediction, Records

TEXTS: tuple[
    Literal["id", "data_hash", "prompt_hash", "prompt", "example_prompt", "reference"], ...
] = ("id", "data_hash", "prompt_hash", "prompt", "example_prompt", "reference")


def share_texts(found: Sequence[Prediction], other: Records) -> None:
    """Let equal prompts and references of two cells be one text in memory, not a copy each.

    It is also a matter of time: to compare a text with itself, Python does not read it.
    """
    for record in found:
        known = other.get(record["id"])
        if known is not None:
            for name in TEXTS:
                if name in record and record[name] == known.get(name):
                    record[name] = known[name]


def share_scores(found: Sequence[Prediction]) -> None:
    """Let equal scores be one number in memory: 20,000 answers have some hundred different ones."""
    known: dict[float, float] = {}
    for record in found:
        scores = record.get("scores", {})
        for metric, score in scores.items():
            if score:  # 0 and -0 are equal, and not the same
                scores[metric] = known.setdefault(score, score)
