"""Whether flat batches agree with padded ones: asked of every model before it is trained on them.

The allow-list says what was right for an architecture's tiny twin; this says what is right for the
checkpoint, dtype, quantization and adapter at hand. A few rows go through the model both ways, flat
and padded with its own attention, and the losses and the gradients of all trained weights must be
the same but for rounding. Nothing is changed: no step is made, dropout is off.

The same rows then go through with the model's small operations fused. There, weights that are
zero, as half of a new LoRA adapter is, are small random numbers meanwhile, or the other half would
get no gradient to compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.training.dropout import drops_out
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, learn, rows_of
from harness.backends.hf.training.fused import fused
from harness.backends.hf.training.passes import (
    Pass,
    Tolerance,
    compared,
    no_zeros,
    own_random,
    passed,
    trained_in,
    verdict_within_memory,
)

LONGEST = 128
"""Longer rows are cut for the check: a padded batch of long ones may not fit in memory."""

TOLERANCE = {False: Tolerance(1e-4, 2e-3), True: Tolerance(0.02, 0.1)}
"""In float32; in 16 bits, where a product of two numbers is off by up to 1/256."""
FUSED_TOLERANCE = Tolerance(0.05, 0.25, lengths=1.5)
"""Between flat batches without and with fused operations. Those round at other places, and deep
models add that up: on an H200, Mistral-7B with random weights was 0.12 off. A missing part gives
0.5 and more. A factor of two does too, but is smaller than `OF_SMALL`, and than what one kind of
weight is of all; hence the lengths. Rounding points anywhere and hardly changes a length: in
bfloat16 that of each weight stayed within 0.96 to 1.04 times (SmolLM2-135M, pretrained, ranks 8 and
64; random weights, 2 to 48 layers, whose gradients were up to 0.22 off)."""
DROPPED = 1.5
"""How many times as large gradients may be under dropout, or as small, measured along those without
it, which are about their mean over all masks. In bfloat16 they were 0.94 to 1.04 times as large, at
rates up to 0.5, over 24 tokens and more, of 2 to 32 layers and of SmolLM2-135M."""
FEWEST_DROPPED = 24
"""Tokens below which that says little: over 5 tokens, at a rate of 0.5, it was 0.61."""


def disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any, *, longest: int = 0
) -> str | None:
    """Return how flat batches of ``rows`` differ from padded ones; None if they agree.

    An error counts as a difference: the engine is not used, and the reason is kept. So does a want
    of memory: nothing is checkpointed here, and the trainer may do with less.

    Args:
        model: the model under its adapter.
        rows: some of what it learns.
        arguments: the `SFTConfig` of the training.
        longest: tokens of the longest row of all.
    """
    half = bool(arguments.bf16)
    rounded = half or bool(arguments.tf32) or model.dtype is not torch.float32
    some = _some(rows)
    passes = (lambda: _padded(model, some, half)), (lambda: _flat(model, some, half))
    in_training = partial(_dry_run, model, some, half, longest=longest)
    return verdict_within_memory(lambda: compared(model, passes, TOLERANCE[rounded], in_training))


def fused_disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any
) -> str | None:
    """Return how flat batches with fused operations differ from those without; None if they agree.

    Where memory is short for it that is a reason too: the engine is used, unfused.
    """
    half, some = bool(arguments.bf16), _some(rows)
    zeros = [p for p in trained_in(model) if not p.any()]
    passes = tuple(
        partial(_flat, model, some, half, fuse=fuse, zeros=zeros) for fuse in (False, True)
    )

    def ask() -> str | None:
        with no_zeros(zeros):
            in_training = partial(_under_dropout, model, some, half, zeros)
            return compared(model, passes, FUSED_TOLERANCE, in_training)

    # fused operations keep copies of their own; without them the cell may fit
    return verdict_within_memory(ask, "of fused operations ")


def _some(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, list[int]]]:
    """The shortest, a middle and the longest of ``rows``; the second half of each is learned."""
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    some = []
    for k in sorted({0, len(ordered) // 2, len(ordered) - 1}):
        ids = list(ordered[k]["input_ids"][:LONGEST])
        start = len(ids) // 2
        some.append({"input_ids": ids, "labels": [IGNORED] * start + ids[start:]})
    return some


def _learned(rows: Sequence[Mapping[str, Any]]) -> int:
    return max(1, sum(row.learned for row in rows_of(rows)))


def _flat(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool, *,
    fuse: bool = False, zeros: Sequence[torch.nn.Parameter] = (),
) -> Pass:  # fmt: skip
    batch = flat_batch(rows_of(rows), model.device)
    share = 1 / _learned(rows)
    with (
        flat_attention(model), fused(model, half=half, wanted=fuse) as replaced,
        reading(batch.segments),
    ):  # fmt: skip
        replaced.copies.begin()
        loss = learn(model, batch, share=share, half=half, kernel=replaced.loss).loss
        return passed(model, loss, replaced.copies, zeros)


def _padded(model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool) -> Pass:
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for i, row in enumerate(rows):
        size = len(row["input_ids"])
        ids[i, :size], mask[i, :size] = torch.tensor(row["input_ids"]), 1
        labels[i, :size] = torch.tensor(row["labels"])
    device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        logits = model(
            input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
        ).logits
    nll = cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten().to(device),
        ignore_index=IGNORED, reduction="sum",
    )  # fmt: skip
    return passed(model, nll / _learned(rows))


@torch.no_grad()
def _dry_run(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool, _: Pass, *, longest: int
) -> None:
    """Once in training mode, where attention may be given what it does not know: dropout."""
    batch = flat_batch(rows_of(rows), model.device)
    # some rows, and cut: a window that a longer one exceeds would end the training in its midst
    batch.segments.longest = max(batch.segments.longest, longest)
    with own_random(model), flat_attention(model), reading(batch.segments):
        learn(model, batch, share=1.0, half=half)


def _under_dropout(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool,
    zeros: Sequence[torch.nn.Parameter], wanted: Pass,
) -> str | None:  # fmt: skip
    """How gradients of a fused pass with dropout differ from ``wanted``, those of one without.

    No other pass has the same masks, so only their size is compared: a mask that is drawn anew in
    the pass back, or scaled there, goes through kernels that no pass in evaluation runs.
    """
    if not drops_out(model):
        return None
    with own_random(model):
        found = _flat(model, rows, half, fuse=True, zeros=zeros)
    # an adapter that is not new: without part of it, the model is another
    if not zeros or sum(len(row["input_ids"]) for row in rows) < FEWEST_DROPPED:
        return None
    for ours, theirs in ((found.gradients, wanted.gradients), (found.others, wanted.others)):
        along = sum(float((a * b).sum()) for a, b in zip(ours, theirs, strict=True))
        times = along / max(sum(float(g.square().sum()) for g in theirs), 1e-30)
        if theirs and not 1 / DROPPED <= times <= DROPPED:
            return f"gradients under dropout are {times:.2g} times as large"
    return None
