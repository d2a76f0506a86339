"""Triton kernels of one decode step: norm, rotary embedding, attention.

Each replaces a chain of small PyTorch operations by one launch and rounds where that chain rounds,
so that float32 results differ by the order of sums alone. Imported on a CUDA device only.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

COLUMNS = 64
"""Cached columns that attention reads at a time."""


@triton.jit
def _rms_norm(x, weight, out, columns, eps, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    there = at < columns
    value = tl.load(x + row * columns + at, mask=there, other=0.0)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / columns + eps)
    normed = (wide * scale).to(value.dtype).to(tl.float32)
    gain = tl.load(weight + at, mask=there, other=0.0).to(tl.float32)
    tl.store(out + row * columns + at, (gain * normed).to(out.dtype.element_ty), mask=there)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Root mean square normalisation of the last dimension, as Llama's (Zhang & Sennrich 2019)."""
    x = x.contiguous()
    columns = x.shape[-1]
    out = torch.empty_like(x, dtype=torch.promote_types(weight.dtype, x.dtype))
    grid = (x.numel() // columns,)
    _rms_norm[grid](x, weight, out, columns, eps, BLOCK=triton.next_power_of_2(columns))
    return out


@triton.jit
def _rotate(  # type: ignore[no-untyped-def]
    query, key, cos, sin, new_query, new_key, query_row, query_head, key_row, key_head,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0), tl.program_id(1)
    if head < QUERIES:
        source = query + row * query_row + head * query_head
        target = new_query + (row * QUERIES + head) * SIZE
    else:
        source = key + row * key_row + (head - QUERIES) * key_head
        target = new_key + (row * KEYS + head - QUERIES) * SIZE
    at = tl.arange(0, BLOCK)
    there = at < SIZE
    half: tl.constexpr = SIZE // 2
    value = tl.load(source + at, mask=there, other=0.0)
    other = tl.load(source + (at + half) % SIZE, mask=there, other=0.0).to(tl.float32)
    turned = tl.where(at < half, -other, other)
    straight = tl.load(cos + row * SIZE + at, mask=there, other=0.0).to(tl.float32)
    across = tl.load(sin + row * SIZE + at, mask=there, other=0.0).to(tl.float32)
    first = (value.to(tl.float32) * straight).to(value.dtype).to(tl.float32)
    second = (turned * across).to(value.dtype).to(tl.float32)
    tl.store(target + at, (first + second).to(value.dtype), mask=there)


def rotate(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotary position embedding (Su et al. 2021) of one token a row.

    Args:
        query: Shape (rows, query heads, 1, size), the last dimension contiguous.
        key: Shape (rows, key heads, 1, size), likewise.
        cos: Shape (rows, 1, size), both halves of the size alike.
        sin: Likewise.

    Returns:
        The turned query and key, contiguous.
    """
    rows, queries, _, size = query.shape
    keys = key.shape[1]
    new_query, new_key = query.new_empty(query.shape), key.new_empty(key.shape)
    cos, sin = cos.expand(rows, 1, size).contiguous(), sin.expand(rows, 1, size).contiguous()
    _rotate[(rows, queries + keys)](
        query, key, cos, sin, new_query, new_key, query.stride(0), query.stride(1),
        key.stride(0), key.stride(1), QUERIES=queries, KEYS=keys, SIZE=size,
        BLOCK=triton.next_power_of_2(size),
    )  # fmt: skip
    return new_query, new_key


@triton.jit
def _attend(  # type: ignore[no-untyped-def]
    query, new_key, new_value, keys, values, start, position, out, query_row, query_head,
    key_row, key_head, value_row, value_head, cache_row, cache_head, scale,
    WINDOW: tl.constexpr, GROUP: tl.constexpr, HEADS: tl.constexpr, SIZE: tl.constexpr,
    BLOCK: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0), tl.program_id(1)
    column = tl.load(position).to(tl.int32)
    first = tl.load(start + row).to(tl.int32)
    if WINDOW > 0:
        first = tl.maximum(first, column - WINDOW + 1)
    member = tl.arange(0, HEADS)
    at = tl.arange(0, BLOCK)
    there = at < SIZE
    asked = tl.load(
        query + row * query_row + (head * GROUP + member)[:, None] * query_head + at[None, :],
        mask=(member < GROUP)[:, None] & there[None, :], other=0.0,
    )  # fmt: skip
    key = tl.load(new_key + row * key_row + head * key_head + at, mask=there, other=0.0)
    value = tl.load(new_value + row * value_row + head * value_head + at, mask=there, other=0.0)
    cache = row.to(tl.int64) * cache_row + head * cache_head
    tl.store(keys + cache + column * SIZE + at, key, mask=there)
    tl.store(values + cache + column * SIZE + at, value, mask=there)
    # the new column is taken from registers: what was stored need not be read back
    best = tl.sum(asked.to(tl.float32) * key.to(tl.float32)[None, :], 1) * scale
    weight = tl.full((HEADS,), 1.0, dtype=tl.float32)
    total = tl.zeros((HEADS, BLOCK), dtype=tl.float32) + value.to(tl.float32)[None, :]
    for begin in range(first // COLUMNS * COLUMNS, column, COLUMNS):
        old = begin + tl.arange(0, COLUMNS)
        valid = (old >= first) & (old < column)
        block = tl.load(
            keys + cache + old[None, :] * SIZE + at[:, None],
            mask=valid[None, :] & there[:, None], other=0.0,
        )  # fmt: skip
        score = tl.dot(asked, block, input_precision="ieee") * scale
        score = tl.where(valid[None, :], score, float("-inf"))
        better = tl.maximum(best, tl.max(score, 1))
        shrink = tl.exp(best - better)
        share = tl.exp(score - better[:, None])
        weight = weight * shrink + tl.sum(share, 1)
        block = tl.load(
            values + cache + old[:, None] * SIZE + at[None, :],
            mask=valid[:, None] & there[None, :], other=0.0,
        )  # fmt: skip
        total = total * shrink[:, None]
        total += tl.dot(share.to(block.dtype), block, input_precision="ieee")
        best = better
    place = (row * tl.num_programs(1) * GROUP + head * GROUP + member)[:, None] * SIZE
    tl.store(
        out + place + at[None, :], (total / weight[:, None]).to(out.dtype.element_ty),
        mask=(member < GROUP)[:, None] & there[None, :],
    )  # fmt: skip


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cache: Any, layer: int, *,
    scale: float, window: int | None,
) -> torch.Tensor:  # fmt: skip
    """Store one new column in the cache and attend from it to the row's columns up to it.

    Keys are read once for all query heads that share them (grouped-query attention, Ainslie et
    al. 2023), with a running softmax (Milakov & Gimelshein 2018) over the columns in use alone.

    Args:
        query: Shape (rows, query heads, 1, size).
        key: Shape (rows, key heads, 1, size); the last dimension is contiguous in all three.
        value: Likewise.
        cache: `harness.backends.hf.decoding.cache.FixedCache`.
        layer: Which of its layers.
        scale: What scores are multiplied by.
        window: Columns that a row may look back on, its own included; None for all.

    Returns:
        Shape (rows, 1, query heads, size).
    """
    rows, queries, _, size = query.shape
    heads = key.shape[1]
    keys, values = cache.keys[layer], cache.values[layer]
    out = query.new_empty(rows, 1, queries, size)
    _attend[(rows, heads)](
        query, key, value, keys, values, cache.start, cache.position, out,
        query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0),
        value.stride(1), keys.stride(0), keys.stride(1), scale, WINDOW=window or 0,
        GROUP=queries // heads, HEADS=max(16, triton.next_power_of_2(queries // heads)), SIZE=size,
        BLOCK=triton.next_power_of_2(size), COLUMNS=COLUMNS,
    )  # fmt: skip
    return out
