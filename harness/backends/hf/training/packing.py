"""Rows packed into one sequence must not read each other: asked of the model before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.backends.hf.decoding.agreement import distance, tolerance_of
from harness.errors import HarnessError

LONGEST = 64
"""Tokens of each of the two rows that are packed to find out."""


@torch.no_grad()
def check_packing(model: PreTrainedModel, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to pack rows for ``model`` where the second row's logits depend on the first.

    Packed rows are separated by positions that start anew. An architecture that takes no
    positions, or carries a state along (Mamba, linear attention), reads them as one text.

    Raises:
        HarnessError: packed, the second row gives other logits than alone.
    """
    first, second = (list(rows[min(k, len(rows) - 1)]["input_ids"])[:LONGEST] for k in (0, 1))
    training = model.training
    model.eval()
    try:
        alone = _last(model, second, list(range(len(second))))
        packed = _last(model, first + second, [*range(len(first)), *range(len(second))])
    finally:
        model.train(training)
    if not distance(packed, alone) <= tolerance_of(model):
        raise HarnessError(
            f"{model.config.model_type} mixes packed rows: one row reads the other",
            hint="Set `packing: false` and `padding_free: false` for this model or adapter.",
        )


def _last(model: PreTrainedModel, ids: list[int], positions: list[int]) -> torch.Tensor:
    """Logits after the last token, positions given and no mask, as the trainer does."""
    device = model.device
    inputs = {"input_ids": torch.tensor([ids], device=device), "use_cache": False}
    places = torch.tensor([positions], device=device)
    try:
        logits: torch.Tensor = model(**inputs, position_ids=places).logits
    except TypeError:  # it takes no positions at all
        logits = model(**inputs).logits
    return logits[0, -1]
