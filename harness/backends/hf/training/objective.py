"""What a training learns: how a batch becomes a loss, and what the losses of a step are divided by.

Text learns its answer tokens (`TEXT`); a classification head learns a label a row (`head.LABELS`).
Steps, optimizer, schedule, capture and checkpoints are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from harness.backends.hf.training.flat_batch import FlatBatch, Row, learn
from harness.backends.hf.training.steps import counts_first_label
from harness.backends.hf.training.token_loss import Learned


class Learn(Protocol):
    """Runs a model over a batch."""

    def __call__(
        self,
        model: PreTrainedModel,
        batch: FlatBatch,
        *,
        share: torch.Tensor | float,
        half: bool,
        kernel: bool = False,
    ) -> Learned:
        """The loss of ``batch`` times ``share``, matrix products in bfloat16 if ``half``.

        With ``kernel`` by one kernel, where there is one.
        """


@dataclass(frozen=True)
class Objective:
    """What is learned from a row."""

    learn: Learn
    count: Callable[[PreTrainedModel, Sequence[Sequence[Row]]], int]
    """What the summed losses of a step's batches are divided by."""
    counts_tokens: bool
    """Whether a log holds the columns that `SFTTrainer` adds to those of `Trainer`."""


def _tokens(model: PreTrainedModel, batches: Sequence[Sequence[Row]]) -> int:
    first = counts_first_label(model)
    return sum(row.learned + (first and row.first) for rows in batches for row in rows)


TEXT = Objective(learn, _tokens, counts_tokens=True)
"""Answer tokens: a mean over those of all batches of a step."""
