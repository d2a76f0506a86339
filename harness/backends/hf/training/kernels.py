"""Triton kernels of a training step: norm, rotary embedding, gated activation, loss.

Each replaces a chain of small PyTorch operations, forward and backward, by one launch each way, and
rounds where that chain rounds. Imported on a CUDA device, or in Triton's interpreter, only.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from harness.backends.hf.training.dropout import UNCOUNTED
from harness.counting import counted

WIDTH = 1024
"""Elements that one program of the gated activation takes."""
CHUNK = 4096
"""Vocabulary entries that the loss reads at a time."""


@triton.jit
def _norm_forward(x, weight, out, scales, columns, eps, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    there = at < columns
    value = tl.load(x + row * columns + at, mask=there, other=0.0)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / columns + eps)
    normed = (wide * scale).to(value.dtype).to(tl.float32)
    gain = tl.load(weight + at, mask=there, other=0.0).to(tl.float32)
    tl.store(out + row * columns + at, (gain * normed).to(out.dtype.element_ty), mask=there)
    tl.store(scales + row, scale)


@triton.jit
def _norm_backward(x, weight, gradient, scales, out, columns, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    there = at < columns
    value = tl.load(x + row * columns + at, mask=there, other=0.0)
    gain = tl.load(weight + at, mask=there, other=0.0).to(tl.float32)
    above = tl.load(gradient + row * columns + at, mask=there, other=0.0).to(tl.float32)
    inner = (above * gain).to(value.dtype).to(tl.float32)
    scale = tl.load(scales + row)
    normed = value.to(tl.float32) * scale
    found = scale * (inner - normed * (tl.sum(inner * normed, 0) / columns))
    tl.store(out + row * columns + at, found.to(out.dtype.element_ty), mask=there)


class Norm(torch.autograd.Function):  # type: ignore[misc]
    """Root mean square normalisation with a frozen gain, as Llama's (Zhang & Sennrich 2019)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """Normalise the last dimension of ``x``."""
        x = x.contiguous()
        columns = x.shape[-1]
        rows = x.numel() // columns
        out = torch.empty_like(x)
        scales = torch.empty(rows, dtype=torch.float32, device=x.device)
        block = triton.next_power_of_2(columns)
        _norm_forward[(rows,)](x, weight, out, scales, columns, eps, BLOCK=block)
        ctx.save_for_backward(x, weight, scales)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Gradient of ``x``."""
        x, weight, scales = ctx.saved_tensors
        columns = x.shape[-1]
        out = torch.empty_like(x)
        _norm_backward[(len(scales),)](
            x, weight, gradient.contiguous(), scales, out, columns,
            BLOCK=triton.next_power_of_2(columns),
        )  # fmt: skip
        return out, None, None


@triton.jit
def _turn(source, target, cos, sin, row_step, head_step, SIGN: tl.constexpr, HEADS: tl.constexpr,  # type: ignore[no-untyped-def]
          SIZE: tl.constexpr, BLOCK_HEADS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    head, at = tl.arange(0, BLOCK_HEADS)[:, None], tl.arange(0, BLOCK)[None, :]
    there = (head < HEADS) & (at < SIZE)
    half: tl.constexpr = SIZE // 2
    begin = source + row * row_step + head * head_step
    value = tl.load(begin + at, mask=there, other=0.0)
    other = tl.load(begin + (at + half) % SIZE, mask=there, other=0.0).to(tl.float32)
    turned = tl.where(at < half, -other, other) * SIGN
    inside = at < SIZE
    straight = tl.load(cos + row * SIZE + at, mask=inside, other=0.0).to(tl.float32)
    across = tl.load(sin + row * SIZE + at, mask=inside, other=0.0).to(tl.float32)
    first = (value.to(tl.float32) * straight).to(value.dtype).to(tl.float32)
    second = (turned * across).to(value.dtype).to(tl.float32)
    to = target + (row * HEADS + head) * SIZE + at
    tl.store(to, (first + second).to(value.dtype), mask=there)


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, sign: int) -> torch.Tensor:
    """``x`` of (1, heads, tokens, size) turned; in memory the heads of a token lie together."""
    if x.stride(3) != 1:
        x = x.contiguous()
    _, heads, tokens, size = x.shape
    out = x.new_empty(1, tokens, heads, size)
    _turn[(tokens,)](
        x, out, cos, sin, x.stride(2), x.stride(1), SIGN=sign, HEADS=heads, SIZE=size,
        BLOCK_HEADS=triton.next_power_of_2(heads), BLOCK=triton.next_power_of_2(size),
    )  # fmt: skip
    return out.transpose(1, 2)


class Rotate(torch.autograd.Function):  # type: ignore[misc]
    """Rotary position embedding (Su et al. 2021) of one flat batch."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn both; ``cos`` and ``sin`` are (1, tokens, size), both halves of the size alike."""
        cos, sin = cos.contiguous(), sin.contiguous()
        ctx.save_for_backward(cos, sin)
        return _turned(query, cos, sin, 1), _turned(key, cos, sin, 1)

    @staticmethod
    def backward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Turn the gradients back."""
        cos, sin = ctx.saved_tensors
        return _turned(query, cos, sin, -1), _turned(key, cos, sin, -1), None, None


def rotate(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What transformers calls `apply_rotary_pos_emb`."""
    turned: tuple[torch.Tensor, torch.Tensor] = Rotate.apply(query, key, cos, sin)
    return turned


@triton.jit
def _gate_forward(gate, up, out, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < size
    value = tl.load(gate + at, mask=there, other=0.0)
    wide = value.to(tl.float32)
    opened = (wide * tl.sigmoid(wide)).to(value.dtype).to(tl.float32)
    other = tl.load(up + at, mask=there, other=0.0).to(tl.float32)
    tl.store(out + at, (opened * other).to(value.dtype), mask=there)


@triton.jit
def _gate_backward(gate, up, gradient, of_gate, of_up, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < size
    value = tl.load(gate + at, mask=there, other=0.0)
    wide = value.to(tl.float32)
    share = tl.sigmoid(wide)
    opened = (wide * share).to(value.dtype).to(tl.float32)
    other = tl.load(up + at, mask=there, other=0.0).to(tl.float32)
    above = tl.load(gradient + at, mask=there, other=0.0).to(tl.float32)
    tl.store(of_up + at, (above * opened).to(value.dtype), mask=there)
    inner = (above * other).to(value.dtype).to(tl.float32)
    found = inner * share * (1 + wide * (1 - share))
    tl.store(of_gate + at, found.to(value.dtype), mask=there)


class Gate(torch.autograd.Function):  # type: ignore[misc]
    """silu(gate) × up (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """The product."""
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        out = torch.empty_like(gate)
        size = gate.numel()
        _gate_forward[(triton.cdiv(size, WIDTH),)](gate, up, out, size, BLOCK=WIDTH)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of both."""
        gate, up = ctx.saved_tensors
        of_gate, of_up = torch.empty_like(gate), torch.empty_like(up)
        size = gate.numel()
        _gate_backward[(triton.cdiv(size, WIDTH),)](
            gate, up, gradient.contiguous(), of_gate, of_up, size, BLOCK=WIDTH
        )
        return of_gate, of_up


@triton.jit
def _loss(  # type: ignore[no-untyped-def]
    logits, targets, share, numbers, step, VOCABULARY: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    begin = logits + row * step
    target = tl.load(targets + row)
    learned = target >= 0
    most, total, weighted, own = -float("inf"), 0.0, 0.0, 0.0
    best = 0
    for start in range(0, VOCABULARY, BLOCK):
        at = start + tl.arange(0, BLOCK)
        value = tl.load(begin + at, mask=at < VOCABULARY, other=-float("inf")).to(tl.float32)
        # in this loop: in the next one another warp may have written over it already
        own += tl.sum(tl.where(at == target, value, 0.0), 0)
        here = tl.max(value, 0)
        place = tl.argmax(value, 0) + start
        best = tl.where(here > most, place, best)
        higher = tl.maximum(most, here)
        shrink = tl.exp(most - higher)
        shifted = value - higher
        probability = tl.exp(shifted)
        # -inf × 0, of a padded vocabulary, counts as 0
        part = tl.sum(tl.where(probability > 0, probability * shifted, 0.0), 0)
        moved = tl.where(total > 0, (weighted + total * (most - higher)) * shrink, 0.0)
        weighted = moved + part
        total = total * shrink + tl.sum(probability, 0)
        most = higher
    log_total = tl.log(total)
    tl.store(numbers + row * 3, tl.where(learned, most + log_total - own, 0.0))
    tl.store(numbers + row * 3 + 1, tl.where(learned, log_total - weighted / total, 0.0))
    tl.store(numbers + row * 3 + 2, tl.where(learned & (best == target), 1.0, 0.0))
    factor = tl.where(learned, tl.load(share), 0.0)
    for start in range(0, VOCABULARY, BLOCK):
        at = start + tl.arange(0, BLOCK)
        value = tl.load(begin + at, mask=at < VOCABULARY, other=-float("inf")).to(tl.float32)
        found = tl.exp(value - most) / total - tl.where(at == target, 1.0, 0.0)
        tl.store(begin + at, (found * factor).to(logits.dtype.element_ty), mask=at < VOCABULARY)


def loss_in_place(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Turn ``logits`` into the gradient of the loss; loss, entropy and first rank of each token.

    Args:
        logits: Shape (tokens, vocabulary), contiguous.
        targets: An id for each of them, or a negative number where nothing is learned.
        share: What the summed loss is multiplied by, float32 on the device.
    """
    tokens, vocabulary = logits.shape
    numbers = torch.empty(tokens, 3, dtype=torch.float32, device=logits.device)
    _loss[(tokens,)](
        logits, targets, share, numbers, logits.stride(0), VOCABULARY=vocabulary, BLOCK=CHUNK,
        num_warps=8,
    )  # fmt: skip
    return numbers


@triton.jit(do_not_specialize=["layer"])
def _drop(  # type: ignore[no-untyped-def]
    x, out, seed, layer, size, RATE: tl.constexpr, ADD: tl.constexpr, BLOCK: tl.constexpr
):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < size
    # the pass in the low half of the key, the layer in the high one
    key = tl.load(seed) + layer.to(tl.int64) * 4294967296
    value = tl.load(x + at, mask=there, other=0.0).to(tl.float32) * (1 / (1 - RATE))
    value = tl.where(tl.rand(key, at) >= RATE, value, 0.0)
    if ADD:
        # rounded as it would be before it is added
        value = value.to(out.dtype.element_ty).to(tl.float32)
        value += tl.load(out + at, mask=there, other=0.0).to(tl.float32)
    tl.store(out + at, value.to(out.dtype.element_ty), mask=there)


def drop(
    x: torch.Tensor, seed: torch.Tensor, layer: int, rate: float, add_to: torch.Tensor | None = None
) -> torch.Tensor:
    """Dropout (Srivastava et al. 2014) whose mask is drawn anew from the same numbers each time.

    Args:
        x: What to drop from, less than 2^31 numbers.
        seed: One whole number below 2^32 on the device.
        layer: What tells this mask from others of the same seed.
        rate: The share that is dropped.
        add_to: What the result is added to; without it the result is a tensor of its own.

    Raises:
        RuntimeError: there are more numbers in ``x``.
    """
    if x.numel() >= UNCOUNTED:
        # the offsets would wrap around, and the kernel write outside of its memory
        raise RuntimeError(
            f"dropout of {counted(x.numel(), 'number')} at once: a mask has fewer than {UNCOUNTED}"
        )
    x = x.contiguous()
    out = torch.empty_like(x) if add_to is None else add_to
    size = x.numel()
    _drop[(triton.cdiv(size, WIDTH),)](
        x, out, seed, layer, size, RATE=rate, ADD=add_to is not None, BLOCK=WIDTH
    )
    return out
