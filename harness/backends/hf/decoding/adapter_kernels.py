"""Triton kernels of a LoRA adapter in one decode step: into its rank, and out of it.

Both multiply in float32, as PEFT does. Many rows go through the tensor cores, three products of
TF32 for one of float32: what that leaves out is below float32's own rounding of the sums. A few
rows are bound by reading the weights: there every program reads whole rows of them, and no product
of tiles is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl

NARROW = 4
"""Rows up to which the weights are read once a row instead of once a tile."""
PRECISION = "tf32x3"


class Tiles(NamedTuple):
    """How work is cut: on an H200, of the ways that were tried, the fastest for 16 and 64 rows."""

    rows: int = 16
    """Rows of a tile; 16 is the least that a matrix instruction takes."""
    inner: int = 64
    """Input features of one product in `adapter_down`."""
    chunks: int = 32
    """Most parts that a row's input features are cut into, each summed by a program of its own."""
    outer: int = 128
    """Output features of a tile of `adapter_up`."""
    precision: str = PRECISION


TILES = Tiles()
PROMPTS = 512
"""Rows from which there are programs enough without cutting a row into parts."""
MANY = Tiles(rows=64, chunks=1, inner=128)
SUMMED = 32
"""Rows from which the parts are summed once: every tile of `adapter_up` would do it again."""


@triton.jit(do_not_specialize=["rows"])
def _down(  # type: ignore[no-untyped-def]
    x, weight, out, rows, inputs, chunk, rank, RANK: tl.constexpr, ROWS: tl.constexpr,
    INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    part, member = tl.program_id(1), tl.program_id(2)
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)  # of prompts, times features
    column = tl.arange(0, RANK)
    total = tl.zeros((ROWS, RANK), dtype=tl.float32)
    for begin in range(part * chunk, part * chunk + chunk, INNER):
        at = begin + tl.arange(0, INNER)
        there = at < inputs
        left = tl.load(
            x + row[:, None] * inputs + at[None, :],
            mask=(row < rows)[:, None] & there[None, :], other=0.0,
        ).to(tl.float32)  # fmt: skip
        right = tl.load(
            weight + (member * rank + column)[None, :] * inputs + at[:, None],
            mask=(column < rank)[None, :] & there[:, None], other=0.0,
        )  # fmt: skip
        total += tl.dot(left, right, input_precision=PRECISION)
    place = (part * tl.num_programs(2) + member) * rows + row
    tl.store(
        out + place[:, None] * rank + column[None, :], total,
        mask=(row < rows)[:, None] & (column < rank)[None, :],
    )  # fmt: skip


@triton.jit(do_not_specialize=["rows"])
def _down_narrow(  # type: ignore[no-untyped-def]
    x, weight, out, rows, inputs, rank, INNER: tl.constexpr,
):  # fmt: skip
    # one column of the rank: its row of the weights lies in one piece
    column, row = tl.program_id(0), tl.program_id(1)
    total = tl.zeros((INNER,), dtype=tl.float32)
    for begin in range(0, inputs, INNER):
        at = begin + tl.arange(0, INNER)
        left = tl.load(x + row * inputs + at, mask=at < inputs, other=0.0).to(tl.float32)
        total += left * tl.load(weight + column * inputs + at, mask=at < inputs, other=0.0)
    place = (column // rank) * rows + row
    tl.store(out + place * rank + column % rank, tl.sum(total, 0))


def adapter_down(x: torch.Tensor, weight: torch.Tensor, tiles: Tiles = TILES) -> torch.Tensor:
    """The inner products of several adapters that share an input, as parts still to be summed.

    Args:
        x: Shape (rows, ..., inputs).
        weight: float32, shape (adapters, rank, inputs), contiguous.
        tiles: How work is cut.

    Returns:
        float32, shape (parts, adapters, rows, rank).
    """
    members, rank, inputs = weight.shape
    x = x.reshape(-1, inputs).contiguous()
    rows = x.shape[0]
    tiles = MANY if rows >= PROMPTS and tiles is TILES else tiles
    if rows <= NARROW:
        out = torch.empty(1, members, rows, rank, dtype=torch.float32, device=x.device)
        _down_narrow[(members * rank, rows)](x, weight, out, rows, inputs, rank, INNER=1024)
        return out
    chunk = triton.cdiv(triton.cdiv(inputs, tiles.chunks), tiles.inner) * tiles.inner
    parts = triton.cdiv(inputs, chunk)
    out = torch.empty(parts, members, rows, rank, dtype=torch.float32, device=x.device)
    _down[(triton.cdiv(rows, tiles.rows), parts, members)](
        x, weight, out, rows, inputs, chunk, rank, RANK=max(16, triton.next_power_of_2(rank)),
        ROWS=tiles.rows, INNER=tiles.inner, PRECISION=tiles.precision,
    )  # fmt: skip
    return out.sum(0, keepdim=True) if rows >= SUMMED and parts > 1 else out


@triton.jit
def _add_tile(  # type: ignore[no-untyped-def]
    result, stride, inner, weight, scaling, outputs, tile, member, members, rows, rank, parts,
    ROUND: tl.constexpr, RANK: tl.constexpr, ROWS: tl.constexpr, OUTER: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(1) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    at = tile * OUTER + tl.arange(0, OUTER)
    column = tl.arange(0, RANK)
    there = (row < rows)[:, None] & (column < rank)[None, :]
    total = tl.zeros((ROWS, RANK), dtype=tl.float32)
    for part in range(parts):
        place = (part * members + member) * rows + row
        total += tl.load(inner + place[:, None] * rank + column[None, :], mask=there, other=0.0)
    right = tl.load(
        weight + at[None, :] * rank + column[:, None],
        mask=(at < outputs)[None, :] & (column < rank)[:, None], other=0.0,
    )  # fmt: skip
    delta = tl.dot(total, right, input_precision=PRECISION) * scaling
    where = result + row[:, None] * stride + at[None, :]
    inside = (row < rows)[:, None] & (at < outputs)[None, :]
    value = tl.load(where, mask=inside, other=0.0)
    if ROUND:
        delta = delta.to(value.dtype).to(tl.float32)
    tl.store(where, (value.to(tl.float32) + delta).to(value.dtype), mask=inside)


@triton.jit
def _add_row(  # type: ignore[no-untyped-def]
    result, stride, inner, weight, scaling, outputs, tile, member, members, rows, rank, parts,
    ROUND: tl.constexpr, RANK: tl.constexpr, ROWS: tl.constexpr, OUTER: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1)
    at = tile * OUTER + tl.arange(0, OUTER)
    column = tl.arange(0, RANK)
    total = tl.zeros((RANK,), dtype=tl.float32)
    for part in range(parts):
        place = (part * members + member) * rows + row
        total += tl.load(inner + place * rank + column, mask=column < rank, other=0.0)
    right = tl.load(
        weight + at[:, None] * rank + column[None, :],
        mask=(at < outputs)[:, None] & (column < rank)[None, :], other=0.0,
    )  # fmt: skip
    delta = tl.sum(right * total[None, :], 1) * scaling
    value = tl.load(result + row * stride + at, mask=at < outputs, other=0.0)
    if ROUND:
        delta = delta.to(value.dtype).to(tl.float32)
    tl.store(
        result + row * stride + at, (value.to(tl.float32) + delta).to(value.dtype),
        mask=at < outputs,
    )  # fmt: skip


@triton.jit(do_not_specialize=["rows", "parts", "members"])
def _up(  # type: ignore[no-untyped-def]
    result_0, result_1, result_2, stride_0, stride_1, stride_2, weight_0, weight_1, weight_2,
    scaling_0, scaling_1, scaling_2, outputs_0, outputs_1, outputs_2, inner, members, rows, rank,
    parts, ROUND: tl.constexpr, RANK: tl.constexpr, ROWS: tl.constexpr, OUTER: tl.constexpr,
    PRECISION: tl.constexpr, NARROW: tl.constexpr,
):  # fmt: skip
    add: tl.constexpr = _add_row if NARROW else _add_tile
    tile = tl.program_id(0)
    first, second = tl.cdiv(outputs_0, OUTER), tl.cdiv(outputs_1, OUTER)
    if tile < first:
        add(
            result_0, stride_0, inner, weight_0, scaling_0, outputs_0, tile, 0, members, rows,
            rank, parts, ROUND, RANK, ROWS, OUTER, PRECISION,
        )  # fmt: skip
    elif tile < first + second:
        add(
            result_1, stride_1, inner, weight_1, scaling_1, outputs_1, tile - first, 1, members,
            rows, rank, parts, ROUND, RANK, ROWS, OUTER, PRECISION,
        )  # fmt: skip
    else:
        add(
            result_2, stride_2, inner, weight_2, scaling_2, outputs_2, tile - first - second, 2,
            members, rows, rank, parts, ROUND, RANK, ROWS, OUTER, PRECISION,
        )  # fmt: skip


class Up(NamedTuple):
    """How an adapter leaves its rank."""

    weight: torch.Tensor
    """float32, shape (outputs, rank), contiguous."""
    scaling: float
    """What its output is multiplied by."""


def adapter_up(
    results: Sequence[torch.Tensor], inner: torch.Tensor, ups: Sequence[Up], *, rounded: bool,
    tiles: Tiles = TILES,
) -> None:  # fmt: skip
    """Add the outputs of up to three adapters to those of their frozen layers, in place.

    Args:
        results: Shape (..., outputs): contiguous, or (rows, 1, outputs) as part of a wider tensor.
        inner: What `adapter_down` gave.
        ups: The adapters, in the order of `adapter_down`.
        rounded: Whether an adapter's output takes the result's dtype before it is added.
        tiles: How work is cut.
    """
    parts, members, rows, rank = inner.shape
    tiles = MANY if rows >= PROMPTS and tiles is TILES else tiles
    narrow = rows <= NARROW
    outer = 64 if narrow else tiles.outer
    outputs = [up.weight.shape[0] for up in ups]
    grid = (sum(triton.cdiv(n, outer) for n in outputs), triton.cdiv(rows, tiles.rows))
    # a place that no adapter has gets the first one's tensors, and no tile
    spare = 3 - len(ups)
    given = [*results, *[results[0]] * spare]
    strides = [r.stride(-2) if r.is_contiguous() else r.stride(0) for r in given]
    rest = [*ups, *[ups[0]] * spare]
    _up[(grid[0], rows) if narrow else grid](
        *given, *strides, *(up.weight for up in rest), *(up.scaling for up in rest),
        *outputs, *[0] * spare, inner, members, rows, rank, parts, ROUND=rounded,
        RANK=triton.next_power_of_2(rank) if narrow else max(16, triton.next_power_of_2(rank)),
        ROWS=tiles.rows, OUTER=outer, PRECISION=tiles.precision, NARROW=narrow,
    )  # fmt: skip
