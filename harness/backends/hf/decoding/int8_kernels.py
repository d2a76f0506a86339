"""Triton kernels of LLM.int8 with its outlier threshold (Dettmers et al. 2022), in fixed shapes.

A weight is read once, as the int8 number that it is; of outlier columns it is read again, turned
into 16 bits and multiplied with the inputs as they came. How many there are stays on the device:
tensors have room for all, and a loop ends where the list of them does. Imported on a CUDA device
only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

SCALE = 1 / 127**2
"""What a sum of products of int8 numbers is worth, before the row's and the column's maximum."""


ODD = 32
"""Outlier columns that are multiplied at a time: a layer seldom has more."""


class Tiles(NamedTuple):
    """How work is cut."""

    outputs: int = 32
    inputs: int = 128
    stages: int = 4
    warps: int = 4
    split: int = 1
    """Programs that share the input features of a tile."""


TILES = Tiles()
"""On an H200, of the ways that were tried, the fastest or nearly so for 1 to 64 rows."""
DEEP = TILES._replace(split=4)
"""The same for layers with many inputs and few outputs, which have few tiles."""


class Rows(NamedTuple):
    """Inputs of a layer as LLM.int8 splits them."""

    x: torch.Tensor
    """As they came, shape (rows, inputs)."""
    numbers: torch.Tensor
    """int8, outlier columns zero."""
    most: torch.Tensor
    """float32, the largest value of each row, outliers left out, shape (rows,)."""
    columns: torch.Tensor
    """int32, the number of outlier columns, then which they are, shape (1 + inputs,)."""


@triton.jit(do_not_specialize=["rows"])
def _outlying(  # type: ignore[no-untyped-def]
    x, out, rows, inputs, threshold, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    most = tl.zeros((BLOCK,), dtype=tl.float32)
    for begin in range(0, rows, ROWS):
        row = begin + tl.arange(0, ROWS)
        value = tl.load(
            x + row[:, None] * inputs + at[None, :],
            mask=(row < rows)[:, None] & (at < inputs)[None, :], other=0.0,
        ).to(tl.float16)  # fmt: skip
        most = tl.maximum(most, tl.max(tl.abs(value.to(tl.float32)), 0))
    tl.store(out + at, (most >= threshold).to(tl.int8), mask=at < inputs)


@triton.jit
def _quantize(  # type: ignore[no-untyped-def]
    x, outlying, numbers, most, columns, inputs, threshold, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    there = at < inputs
    value = tl.load(x + row * inputs + at, mask=there, other=0.0).to(tl.float16).to(tl.float32)
    beyond = tl.abs(value) >= threshold
    value = tl.where(beyond, 0.0, value)
    highest = tl.max(tl.abs(value), 0)
    scale = tl.where(highest > 0, 127.0 / highest, 0.0)
    column = tl.load(outlying + at, mask=there, other=1)
    # added and taken away, this number leaves the nearest whole one, even at a tie: the sum's last
    # digit is 1 (1.5 * 2**23; Triton has no rounding that its interpreter knows)
    number = (value * scale + 12582912.0) - 12582912.0
    number = tl.where(column > 0, 0.0, number)
    tl.store(numbers + row * inputs + at, number.to(tl.int8), mask=there)
    tl.store(most + row, highest)
    if row == 0:
        odd = (column > 0) & there
        place = tl.cumsum(odd.to(tl.int32), 0)
        tl.store(columns + place, at, mask=odd)  # the first of them counts 1, and 0 is the number's
        tl.store(columns, tl.sum(odd.to(tl.int32), 0))


def int8_rows(x: torch.Tensor, threshold: float) -> Rows:
    """``x``, shape (rows, ..., inputs), split into int8 numbers and outlier columns.

    A column is outlying where any row is beyond ``threshold`` there, as LLM.int8 has it; a row's
    maximum leaves out its own outliers alone.
    """
    inputs = x.shape[-1]
    x = x.reshape(-1, inputs).contiguous()
    rows = x.shape[0]
    outlying = torch.empty(inputs, dtype=torch.int8, device=x.device)
    numbers = torch.empty(rows, inputs, dtype=torch.int8, device=x.device)
    most = torch.empty(rows, dtype=torch.float32, device=x.device)
    _outlying[(triton.cdiv(inputs, 64),)](x, outlying, rows, inputs, threshold, ROWS=16, BLOCK=64)
    block = triton.next_power_of_2(inputs)
    columns = torch.empty(1 + inputs, dtype=torch.int32, device=x.device)
    _quantize[(rows,)](
        x, outlying, numbers, most, columns, inputs, threshold, BLOCK=block,
        num_warps=max(4, min(16, block // 512)),
        # numbers of float16 often lie right between two whole ones: the product must be rounded
        # before it is, as bitsandbytes does, and not be fused with the addition that does it
        enable_fp_fusion=False,
    )  # fmt: skip
    return Rows(x, numbers, most, columns)


@triton.jit(do_not_specialize=["rows"])
def _multiply(  # type: ignore[no-untyped-def]
    x, numbers, most, columns, weight, highest, bias, out, sums, outliers, rows, inputs, outputs,
    scale, BIAS: tl.constexpr, ROWS: tl.constexpr, OUTER: tl.constexpr, INNER: tl.constexpr,
    SPLIT: tl.constexpr, ODD: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * OUTER + tl.arange(0, OUTER)
    part = tl.program_id(2)
    inside, known = row < rows, column < outputs
    peak = tl.load(highest + column, mask=known, other=0.0)
    total = tl.zeros((ROWS, OUTER), dtype=tl.int32)
    beyond = tl.zeros((ROWS, OUTER), dtype=tl.float32)
    for begin in range(part * INNER, inputs, INNER * SPLIT):
        at = begin + tl.arange(0, INNER)
        there = at < inputs
        left = tl.load(
            numbers + row[:, None] * inputs + at[None, :],
            mask=inside[:, None] & there[None, :], other=0,
        )  # fmt: skip
        right = tl.load(
            weight + column[None, :] * inputs + at[:, None],
            mask=known[None, :] & there[:, None], other=0,
        )  # fmt: skip
        total = tl.dot(left, right, acc=total, out_dtype=tl.int32)
    count = tl.load(columns)
    for begin in range(part * ODD, count, ODD * SPLIT):
        at = begin + tl.arange(0, ODD)
        there = at < count
        odd = tl.load(columns + 1 + at, mask=there, other=0)
        value = tl.load(
            x + row[:, None] * inputs + odd[None, :], mask=inside[:, None] & there[None, :],
            other=0.0,
        )  # fmt: skip
        right = tl.load(
            weight + column[None, :] * inputs + odd[:, None],
            mask=known[None, :] & there[:, None], other=0,
        )  # fmt: skip
        # divided by 127 as bitsandbytes does
        wide = (right.to(tl.float32) * peak[None, :] * 7.874015718698502e-3).to(value.dtype)
        beyond = tl.dot(value, wide, acc=beyond, input_precision="ieee")
    where = row[:, None] * outputs + column[None, :]
    valid = inside[:, None] & known[None, :]
    if SPLIT > 1:
        where += part * rows * outputs
        tl.store(sums + where, total, mask=valid)
        tl.store(outliers + where, beyond, mask=valid)
    else:
        high = tl.load(most + row, mask=inside, other=0.0)
        # rounded to float16, with the bias, and then to the output's type, as bitsandbytes does
        half = (total.to(tl.float32) * (high[:, None] * peak[None, :]) * scale).to(tl.float16)
        if BIAS:
            added = tl.load(bias + column, mask=known, other=0.0).to(tl.float32)
            half = (half.to(tl.float32) + added[None, :]).to(tl.float16)
        result = half.to(out.dtype.element_ty).to(tl.float32) + beyond
        tl.store(out + where, result.to(out.dtype.element_ty), mask=valid)


@triton.jit(do_not_specialize=["rows"])
def _finish(  # type: ignore[no-untyped-def]
    sums, outliers, most, highest, bias, out, rows, outputs, scale, BIAS: tl.constexpr,
    SPLIT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    known = column < outputs
    total = tl.zeros((BLOCK,), dtype=tl.int32)
    beyond = tl.zeros((BLOCK,), dtype=tl.float32)
    for part in range(SPLIT):
        where = (part * rows + row) * outputs + column
        total += tl.load(sums + where, mask=known, other=0)
        beyond += tl.load(outliers + where, mask=known, other=0.0)
    peak = tl.load(highest + column, mask=known, other=0.0)
    half = (total.to(tl.float32) * (tl.load(most + row) * peak) * scale).to(tl.float16)
    if BIAS:
        added = tl.load(bias + column, mask=known, other=0.0).to(tl.float32)
        half = (half.to(tl.float32) + added).to(tl.float16)
    result = half.to(out.dtype.element_ty).to(tl.float32) + beyond
    tl.store(out + row * outputs + column, result.to(out.dtype.element_ty), mask=known)


def int8_linear(
    rows: Rows, weight: torch.Tensor, highest: torch.Tensor, bias: torch.Tensor | None,
    tiles: Tiles | None = None,
) -> torch.Tensor:  # fmt: skip
    """What `Linear8bitLt` gives for ``rows``, shape (rows, outputs).

    Args:
        rows: What `int8_rows` gave.
        weight: int8, shape (outputs, inputs).
        highest: float32, each output's largest weight, shape (outputs,).
        bias: Shape (outputs,).
        tiles: How work is cut; chosen by the layer's shape without it.
    """
    count, inputs = rows.x.shape
    outputs = weight.shape[0]
    tiles = tiles or (DEEP if inputs >= 3 * outputs else TILES)
    out = rows.x.new_empty(count, outputs)
    height = min(64, max(16, triton.next_power_of_2(count)))
    sums = outliers = out
    if tiles.split > 1:
        shape = (tiles.split, count, outputs)
        sums = torch.empty(shape, dtype=torch.int32, device=out.device)
        outliers = torch.empty(shape, dtype=torch.float32, device=out.device)
    given = highest if bias is None else bias
    grid = (triton.cdiv(outputs, tiles.outputs), triton.cdiv(count, height), tiles.split)
    _multiply[grid](
        rows.x, rows.numbers, rows.most, rows.columns, weight, highest, given, out, sums,
        outliers, count, inputs, outputs, SCALE, BIAS=bias is not None, ROWS=height,
        OUTER=tiles.outputs, INNER=tiles.inputs, SPLIT=tiles.split, ODD=ODD,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    if tiles.split > 1:
        _finish[(triton.cdiv(outputs, 256), count)](
            sums, outliers, rows.most, highest, given, out, count, outputs, SCALE,
            BIAS=bias is not None, SPLIT=tiles.split, BLOCK=256,
        )  # fmt: skip
    return out
