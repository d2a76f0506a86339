"""An example and the splits of a data set: what every data set yields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a data set as the harness sees it."""

    id: str
    """Stable identity: a hash of the content, the same in every cell and run."""
    prompt: str
    """What is asked: the instruction, question or text to classify."""
    reference: str
    """The answer that a prediction is compared with; the label for classification."""
    context: str = ""
    """The optional `input` of an Alpaca row."""
    category: str | None = None
    """The row's category, for per-category scores."""
    group: str | None = None
    """Rows of one group never stand on both sides of a split."""
    gold: str | None = None
    """The gold number as a plain decimal string ("0.25", "-12"), where the answer is a number."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Train and test examples, and an account of what was dropped on the way."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    counts: dict[str, int] = field(default_factory=dict)
    """Rows read, dropped (null, duplicate, too short), sampled, overlapping."""


def digest(*parts: str | None) -> str:
    """Twelve hex digits of the SHA-256 of ``parts``, None as empty: of an example, its id."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).hexdigest()[:12]
