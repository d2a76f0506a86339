"""Whether flat batches agree with padded ones: asked of every model before it is trained on them.

The allow-list says what was right for an architecture's tiny twin; this says what is right for the
checkpoint, dtype, quantization and adapter at hand. A few rows go through the model both ways, flat
and padded with its own attention, and the losses and the gradients of all trained weights must be
the same but for rounding. No step is made, dropout is off, and weights are as before: those that
are zero, as half of a new LoRA adapter is, are not while the rows go through, or the other half
would get no gradient to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, learn, rows_of
from harness.backends.hf.training.fused import fused
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.unpacked import four_bit_layers

LONGEST = 128
"""Longer rows are cut for the check: a padded batch of long ones may not fit in memory."""

SMALL = 0.02
"""Standard deviation of what takes the place of zeros: about that of a model's weights."""


class Tolerance(NamedTuple):
    """What rounding may do."""

    loss: float
    """Nats a token."""
    gradients: float
    """Distance of all gradients over their length. A wrong mask or position gives 0.3 and more."""


TOLERANCE = {False: Tolerance(1e-4, 2e-3), True: Tolerance(0.02, 0.1)}
"""In float32; in 16 bits, where a product of two numbers is off by up to 1/256."""
FUSED_TOLERANCE = Tolerance(0.02, 0.2)
"""Between flat batches without and with fused operations. Those round at other places, and deep
models add that up: on an H200, Mistral-7B with random weights was 0.12 off, models of 22 to 30
layers less than 0.1."""


def disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any
) -> str | None:
    """Return how flat batches of ``rows`` differ from padded ones; None if they agree.

    An error counts as a difference: the engine is not used, and the reason is kept.
    """
    half = bool(arguments.bf16)
    rounded = half or bool(arguments.tf32) or model.dtype is not torch.float32
    some = _some(rows)
    passes = (lambda: _padded(model, some, half)), (lambda: _flat(model, some, half, fuse=False))
    return _compared(model, passes, TOLERANCE[rounded], lambda: _dry_run(model, some, half, False))


def fused_disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any
) -> str | None:
    """Return how flat batches differ once the model's small operations are fused; else None."""
    half, some = bool(arguments.bf16), _some(rows)
    passes = tuple(partial(_flat, model, some, half, fuse=fuse) for fuse in (False, True))
    return _compared(model, passes, FUSED_TOLERANCE, lambda: _dry_run(model, some, half, True))


def _compared(
    model: PreTrainedModel, passes: tuple[Callable[[], Pass], ...], tolerance: Tolerance,
    in_training: Callable[[], None],
) -> str | None:  # fmt: skip
    training = model.training
    without_dropout(model)
    try:
        with _no_zeros(model):
            wanted, found = (each() for each in passes)
        model.train()
        in_training()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {[*str(error).splitlines(), ''][0][:160]}"
    finally:
        model.train(training)
    return apart(found, wanted, tolerance)


def without_dropout(model: PreTrainedModel) -> None:
    """Put ``model`` in evaluation mode, but for layers that this would change.

    On a CPU, bitsandbytes packs the weights of a 4-bit layer anew when it is first called in
    evaluation, and computes in bfloat16 ever after.
    """
    model.eval()
    for layer in four_bit_layers(model):
        layer.train()


def _some(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, list[int]]]:
    """The shortest, a middle and the longest of ``rows``; the second half of each is learned."""
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    some = []
    for k in sorted({0, len(ordered) // 2, len(ordered) - 1}):
        ids = list(ordered[k]["input_ids"][:LONGEST])
        start = len(ids) // 2
        some.append({"input_ids": ids, "labels": [IGNORED] * start + ids[start:]})
    return some


class Pass(NamedTuple):
    """A loss a token and the gradients of the trained weights."""

    loss: float
    gradients: list[torch.Tensor]


@contextmanager
def _no_zeros(model: PreTrainedModel) -> Iterator[None]:
    """Give trained weights that are all zero small random values, and zeros again afterwards."""
    zeros = [p for p in model.parameters() if p.requires_grad and not p.any()]
    draw = torch.Generator(model.device).manual_seed(0)
    try:
        with torch.no_grad():
            for parameter in zeros:
                parameter.normal_(0, SMALL, generator=draw)
        yield
    finally:
        with torch.no_grad():
            for parameter in zeros:
                parameter.zero_()


def passed(model: PreTrainedModel, loss: torch.Tensor, copies: Copies | None = None) -> Pass:
    """``loss`` and its gradients, some of them collected by ``copies``."""
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.grad for p in trained]
    try:
        for parameter in trained:
            parameter.grad = None
        loss.backward()
        if copies is not None:
            copies.end()
        gradients = [p.grad.float() for p in trained if p.grad is not None]
    finally:
        for parameter, gradient in zip(trained, before, strict=True):
            parameter.grad = gradient
    return Pass(float(loss.detach()), gradients)


def _learned(rows: Sequence[Mapping[str, Any]]) -> int:
    return max(1, sum(row.learned for row in rows_of(rows)))


def _flat(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool, *, fuse: bool
) -> Pass:
    batch = flat_batch(rows_of(rows), model.device)
    share = 1 / _learned(rows)
    with (
        flat_attention(model), fused(model, half=half, wanted=fuse) as replaced,
        reading(batch.segments),
    ):  # fmt: skip
        replaced.copies.begin()
        loss = learn(model, batch, share=share, half=half, kernel=replaced.loss).loss
        return passed(model, loss, replaced.copies)


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
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool, fuse: bool
) -> None:
    """Once in training mode, where attention may be given what it does not know: dropout."""
    batch = flat_batch(rows_of(rows), model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices), flat_attention(model),
        fused(model, half=half, wanted=fuse) as replaced, reading(batch.segments),
    ):  # fmt: skip
        learn(model, batch, share=1.0, half=half, kernel=replaced.loss)


def apart(found: Pass, wanted: Pass, tolerance: Tolerance) -> str | None:
    """Return how two passes differ by more than ``tolerance``; None if they do not."""
    away = abs(found.loss - wanted.loss)
    if not away <= tolerance.loss:  # NaN counts as away
        return f"the loss is {away:.2g} nats a token off"
    if len(found.gradients) != len(wanted.gradients):
        return "other weights get a gradient"
    length = sum(float(g.square().sum()) for g in wanted.gradients) ** 0.5
    pairs = zip(found.gradients, wanted.gradients, strict=True)
    gap = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
    if not gap <= tolerance.gradients * length:
        return f"gradients are {gap / max(length, 1e-30):.2g} of their length off"
    return None
