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

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from harness.backends.hf.counters.memory import free
from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, learn, rows_of
from harness.backends.hf.training.fused import fused
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.unpacked import four_bit_layers

LONGEST = 128
"""Longer rows are cut for the check: a padded batch of long ones may not fit in memory."""

SMALL = 1e-3
"""Standard deviation of what takes the place of zeros: what training moves them by. With 0.02, as
large as a model's weights, a pretrained model would answer differently, and rounding alone would
change its gradients by 0.29."""
OF_SMALL = 0.6
"""What rounding may do to the gradients of a new adapter's A, which such small numbers multiply."""


class Tolerance(NamedTuple):
    """What rounding may do."""

    loss: float
    """Nats a token."""
    gradients: float
    """Distance of all gradients over their length. A wrong mask or position gives 0.3 and more."""


TOLERANCE = {False: Tolerance(1e-4, 2e-3), True: Tolerance(0.02, 0.1)}
"""In float32; in 16 bits, where a product of two numbers is off by up to 1/256."""
FUSED_TOLERANCE = Tolerance(0.05, 0.25)
"""Between flat batches without and with fused operations. Those round at other places, and deep
models add that up: on an H200, Mistral-7B with random weights was 0.12 off. A wrong factor or a
missing part gives 0.5 and more."""


def disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any, *, longest: int = 0
) -> str | None:
    """Return how flat batches of ``rows`` differ from padded ones; None if they agree.

    An error counts as a difference: the engine is not used, and the reason is kept.

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
    return compared(model, passes, TOLERANCE[rounded], in_training)


def fused_disagreement(
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], arguments: Any
) -> str | None:
    """Return how flat batches with fused operations differ from those without; None if they agree.

    Where memory is short for it that is a reason too: the engine is used, unfused.
    """
    half, some = bool(arguments.bf16), _some(rows)
    zeros = [p for p in _trained(model) if not p.any()]
    passes = tuple(
        partial(_flat, model, some, half, fuse=fuse, zeros=zeros) for fuse in (False, True)
    )
    try:
        with _no_zeros(zeros):
            in_training = partial(_dry_run, model, some, half, fuse=True)
            return compared(model, passes, FUSED_TOLERANCE, in_training)
    except torch.OutOfMemoryError:
        pass  # fused operations keep copies of their own; without them the cell may fit
    free()
    return "the check of fused operations ran out of device memory"


def compared(
    model: PreTrainedModel, passes: tuple[Callable[[], Pass], ...], tolerance: Tolerance,
    in_training: Callable[[], None],
) -> str | None:  # fmt: skip
    """How the second of two ``passes`` differs from the first, or what either raises; else None.

    Args:
        model: the model, as it trains.
        passes: the right one, and the one to be compared, without dropout.
        tolerance: how far apart they may be.
        in_training: run after them in training mode: it may raise as well.
    """
    training = model.training
    without_dropout(model)
    try:
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
    others: list[torch.Tensor]
    """Those of weights that were zero: far larger, so compared separately."""


@contextmanager
def _no_zeros(zeros: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Give ``zeros`` small random values, and zeros again afterwards."""
    try:
        with torch.no_grad():
            for number, parameter in enumerate(zeros):
                draw = torch.Generator(parameter.device).manual_seed(number)
                parameter.normal_(0, SMALL, generator=draw)
        yield
    finally:
        with torch.no_grad():
            for parameter in zeros:
                parameter.zero_()


def passed(
    model: PreTrainedModel, loss: torch.Tensor, copies: Copies | None = None,
    zeros: Sequence[torch.nn.Parameter] = (),
) -> Pass:  # fmt: skip
    """``loss`` and its gradients, some of them collected by ``copies``; those of ``zeros`` last."""
    trained = _trained(model)
    before = [p.grad for p in trained]
    try:
        for parameter in trained:
            parameter.grad = None
        loss.backward()
        if copies is not None:
            copies.end()
        first = {id(parameter) for parameter in zeros}
        gradients = [p.grad.float() for p in trained if p.grad is not None and id(p) not in first]
        others = [p.grad.float() for p in zeros if p.grad is not None]
    finally:
        for parameter, gradient in zip(trained, before, strict=True):
            parameter.grad = gradient
    return Pass(float(loss.detach()), gradients, others)


def _trained(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


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
    model: PreTrainedModel, rows: Sequence[Mapping[str, Any]], half: bool, *,
    fuse: bool = False, longest: int = 0,
) -> None:  # fmt: skip
    """Once in training mode, where attention may be given what it does not know: dropout."""
    batch = flat_batch(rows_of(rows), model.device)
    # some rows, and cut: a window that a longer one exceeds would end the training in its midst
    batch.segments.longest = max(batch.segments.longest, longest)
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
    # next to those of weights that were zero the others are sums of little but rounding
    most = max(tolerance.gradients, OF_SMALL) if wanted.others else tolerance.gradients
    for ours, theirs, limit in (
        (found.gradients, wanted.gradients, most),
        (found.others, wanted.others, tolerance.gradients),
    ):
        if len(ours) != len(theirs):
            return "other weights get a gradient"
        length = sum(float(g.square().sum()) for g in theirs) ** 0.5
        pairs = zip(ours, theirs, strict=True)
        gap = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
        # against an endless length every gap is small, an endless one too
        if not gap <= limit * length < math.inf:
            return f"gradients are {gap / max(length, 1e-30):.2g} of their length off"
    return None
