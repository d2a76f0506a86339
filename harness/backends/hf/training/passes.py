"""Two passes over the same rows that should give the same: losses and gradients, but for rounding.

`check` and `head_check` say which passes, and how far apart rounding may put them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from harness.backends.hf.counters.memory import free
from harness.backends.hf.training.flat_attention import said
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.unpacked import four_bit_layers

SMALL = 1e-3
"""Standard deviation of what takes the place of zeros: what training moves them by. With 0.02, as
large as a model's weights, a pretrained model would answer differently, and rounding alone would
change its gradients by 0.29."""
OF_SMALL = 0.6
"""What rounding may do to the gradients of a new adapter's A, which such small numbers multiply."""
OF_ALL = 1e-3
"""Share of the length of all gradients below which that of one weight may be rounding alone, as for
the bias of keys, which changes nothing."""


class Tolerance(NamedTuple):
    """What rounding may do."""

    loss: float
    """Nats a token."""
    gradients: float
    """Distance of all gradients over their length. A wrong mask or position gives 0.3 and more."""
    lengths: float = math.inf
    """How many times as long the gradient of one weight may be as it should, or as short."""


class Pass(NamedTuple):
    """A loss a token and the gradients of the trained weights."""

    loss: float
    gradients: list[torch.Tensor]
    others: list[torch.Tensor]
    """Those of weights that were zero: far larger, so compared separately."""


def compared(
    model: PreTrainedModel, passes: tuple[Callable[[], Pass], ...], tolerance: Tolerance,
    in_training: Callable[[Pass], str | None],
) -> str | None:  # fmt: skip
    """How the second of two ``passes`` differs from the first, or what either raises; else None.

    Args:
        model: the model, as it trains.
        passes: the right one, and the one to be compared, without dropout.
        tolerance: how far apart they may be.
        in_training: run after them in training mode, on what the right one gave: it may raise as
            well, and returns what is wrong.
    """
    training = model.training
    without_dropout(model)
    try:
        wanted, found = (each() for each in passes)
        model.train()
        reason = in_training(wanted)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return said(error)
    finally:
        model.train(training)
    return apart(found, wanted, tolerance) or reason


def verdict_within_memory(ask: Callable[[], str | None], what: str = "") -> str | None:
    """Return what ``ask`` does; where it runs out of device memory, that the check ``what`` did."""
    try:
        return ask()
    except torch.OutOfMemoryError:
        pass  # what the error holds on to is let go first
    free()
    return f"the check {what}ran out of device memory"


def without_dropout(model: PreTrainedModel) -> None:
    """Put ``model`` in evaluation mode, but for layers that this would change.

    On a CPU, bitsandbytes packs the weights of a 4-bit layer anew when it is first called in
    evaluation, and computes in bfloat16 ever after.
    """
    model.eval()
    for layer in four_bit_layers(model):
        layer.train()


def passed(
    model: PreTrainedModel, loss: torch.Tensor, copies: Copies | None = None,
    zeros: Sequence[torch.nn.Parameter] = (),
) -> Pass:  # fmt: skip
    """``loss`` and its gradients, some of them collected by ``copies``; those of ``zeros`` last."""
    trained = trained_in(model)
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


def trained_in(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """The weights of ``model`` that are trained."""
    return [p for p in model.parameters() if p.requires_grad]


@contextmanager
def no_zeros(zeros: Sequence[torch.nn.Parameter]) -> Iterator[None]:
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


def own_random(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Draw inside without a trace in what is drawn after it."""
    devices = [model.device] if model.device.type == "cuda" else []
    found: AbstractContextManager[None] = torch.random.fork_rng(devices)
    return found


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
        for a, b in zip(ours, theirs, strict=True):
            times = float(a.norm()) / max(float(b.norm()), 1e-30)
            if float(b.norm()) > OF_ALL * length and not (
                1 / tolerance.lengths <= times <= tolerance.lengths
            ):
                return f"the gradient of a weight is {times:.2g} times as long"
    return None
