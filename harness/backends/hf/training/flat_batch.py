"""Rows laid end to end: one sequence without padding, and the places whose next token counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.training.flat_attention import Segments, mask_of
from harness.backends.hf.training.token_loss import Learned, token_loss


class Row(NamedTuple):
    """A training row as tensors, made once."""

    ids: torch.Tensor
    targets: torch.Tensor
    """At each place what follows it; `IGNORED` where that is not learned."""
    learned: int
    """How many of its tokens are learned."""
    first: bool
    """Whether its first token has a label. Nothing predicts it."""


class FlatBatch(NamedTuple):
    """Some rows end to end."""

    ids: torch.Tensor
    """Shape (1, tokens)."""
    positions: torch.Tensor
    """Starting anew with each row; shape (1, tokens)."""
    at: torch.Tensor
    """Places whose next token is learned. The model computes logits there and nowhere else."""
    targets: torch.Tensor
    """What follows at each of them."""
    segments: Segments


def rows_of(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of ``input_ids`` and ``labels`` as tensors."""
    found = []
    for row in rows:
        targets = [*row["labels"][1:], IGNORED]
        learned = sum(target != IGNORED for target in targets)
        ids = torch.tensor(row["input_ids"])
        found.append(Row(ids, torch.tensor(targets), learned, row["labels"][0] != IGNORED))
    return found


def flat_batch(rows: Sequence[Row], device: torch.device) -> FlatBatch:
    """``rows`` as one flat batch on ``device``."""
    lengths = [len(row.ids) for row in rows]
    bounds, longest = (0, *accumulate(lengths)), max(lengths)
    targets = torch.cat([row.targets for row in rows])
    at = (targets != IGNORED).nonzero().flatten()
    if not len(at):
        at = torch.zeros(1, dtype=torch.long)  # nothing to learn: one place, without a target
    places = torch.arange(longest)
    batch = FlatBatch(
        torch.cat([row.ids for row in rows])[None],
        torch.cat([places[:length] for length in lengths])[None],
        at, targets[at], Segments(bounds, longest=longest),
    )  # fmt: skip
    return batch if device.type == "cpu" else _on_device(batch, device)


def _on_device(batch: FlatBatch, device: torch.device) -> FlatBatch:
    ids, positions, at, targets, segments = batch
    segments.cumulative = torch.tensor(segments.bounds, dtype=torch.int32, device=device)
    return FlatBatch(
        ids.to(device), positions.to(device), at.to(device), targets.to(device), segments
    )


def learn(
    model: PreTrainedModel, batch: FlatBatch, *, share: torch.Tensor | float, half: bool,
    kernel: bool = False,
) -> Learned:  # fmt: skip
    """Run ``model`` over ``batch``; the caller goes back through the result inside `reading`.

    Args:
        model: the model, inside `flat_attention`.
        batch: the rows.
        share: what the summed loss is multiplied by: one over the number of learned tokens.
        half: whether matrix products are autocast to bfloat16.
        kernel: whether a kernel computes the loss: see `token_loss`.
    """
    device = batch.ids.device
    if device.type == "cuda" and not half and model.dtype is torch.float32:
        assert batch.segments.cumulative is not None
        batch.segments.mask = mask_of(batch.segments.cumulative, batch.ids.shape[1])
    # the cache of casts would outlive a captured step
    with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        logits = model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            # a mask of four dimensions is taken as it is; `flat_attention` does not read it
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
            use_cache=False,
            logits_to_keep=batch.at,
        ).logits.squeeze(0)  # indexing would copy the gradient into zeros
    factor = torch.as_tensor(share, dtype=torch.float32, device=device)
    return token_loss(logits, batch.targets, factor, kernel=kernel)
