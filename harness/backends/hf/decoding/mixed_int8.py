"""LLM.int8 with its outlier threshold in fixed shapes, so that a decode step can be captured.

bitsandbytes reads on the host which input columns hold an outlier, takes them out of the int8
product and multiplies them in 16 bits (Dettmers et al. 2022). Here the columns stay where they are:
a mask on the device sets them to zero in one product and all others in the other. The numbers are
the same: the sums of int8 products are whole, and a zero adds nothing to the sum of outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from harness.backends.hf.decoding.shared_inputs import Shared, bare, groups_of


class Split(NamedTuple):
    """The inputs of a layer as LLM.int8 splits them."""

    numbers: torch.Tensor
    """int8, outlier columns zero, shape (rows, inputs)."""
    most: torch.Tensor
    """float32, the largest value of each row, outliers left out, shape (rows,)."""
    outliers: torch.Tensor
    """As they came, other columns zero, shape (rows, inputs)."""


Forwards = dict[torch.nn.Module, Callable[..., torch.Tensor]]


def mixed_layers(model: torch.nn.Module) -> Iterator[Any]:
    """The layers of bitsandbytes in ``model`` that look for outliers."""
    for module in model.modules():
        state = getattr(module, "state", None)
        if type(module).__name__ == "Linear8bitLt" and getattr(state, "threshold", 0) > 0:
            yield module


def uncapturable(model: PreTrainedModel) -> str | None:
    """Return why the int8 layers of ``model`` cannot be part of a captured step; None if they can.

    A layer that keeps its weights in 16 bits quantizes them in every pass.
    """
    if any(layer.state.has_fp16_weights for layer in mixed_layers(model)):
        return "int8 layers that keep their weights in 16 bits look for outliers on the host"
    return None


def mixed_int8(model: torch.nn.Module, *, kernels: bool) -> Forwards:
    """What the int8 layers of ``model`` do in a step; by Triton's ``kernels`` or by PyTorch."""
    wanted, found = set(mixed_layers(model)), Forwards()
    for parent in model.modules():
        inner = {name: bare(child) for name, child in parent.named_children()}
        # an adapter's wrapper names its layer as well: the parent of both comes first
        inner = {k: layer for k, layer in inner.items() if layer in wanted and layer not in found}
        for group in groups_of(inner, _alike):
            found |= _together(group, kernels=kernels)
    return found


def _alike(layer: Any) -> tuple[int, float]:
    return layer.in_features, layer.state.threshold


def _together(layers: list[Any], *, kernels: bool) -> Forwards:
    """What ``layers`` do, which read the same tensor."""
    threshold = float(layers[0].state.threshold)
    last = len(layers) - 1
    if kernels:
        from harness.backends.hf.decoding.int8_kernels import int8_linear, int8_rows

        rows = Shared(lambda x: int8_rows(x, threshold))
        return {
            layer: _forward(layer, rows, int8_linear, last=k == last)
            for k, layer in enumerate(layers)
        }
    split = Shared(lambda x: split_outliers(x, threshold))
    return {
        layer: _forward(layer, split, mixed_product, last=k == last)
        for k, layer in enumerate(layers)
    }


def _forward(
    layer: Any, shared: Shared[Any], multiply: Callable[..., torch.Tensor], *, last: bool
) -> Callable[..., torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if layer.weight.CB is not None:
            layer.init_8bit_state()  # before the layer's first pass its numbers are elsewhere
        numbers, highest = layer.state.CB, layer.state.SCB
        out = multiply(shared.of(x, last=last), numbers, highest, layer.bias)
        return out.reshape(*x.shape[:-1], -1)

    return forward


def split_outliers(x: torch.Tensor, threshold: float) -> Split:
    """``x``, shape (rows, ..., inputs), as LLM.int8 splits it.

    A column is outlying where any row is beyond ``threshold`` there. A row's maximum leaves out
    its own outliers alone, not their columns.
    """
    from bitsandbytes.functional import int8_vectorwise_quant

    x = x.reshape(-1, x.shape[-1])
    half = x.to(torch.float16)  # as bitsandbytes does, whatever the type of the input
    beyond = half.abs() >= threshold
    columns = beyond.any(0)
    numbers, most, _ = int8_vectorwise_quant(half.masked_fill(beyond, 0))
    return Split(numbers.masked_fill_(columns, 0), most, x.masked_fill(~columns, 0))


def mixed_product(
    split: Split, weight: torch.Tensor, highest: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """What `Linear8bitLt` gives for ``split``, shape (rows, outputs)."""
    from bitsandbytes.functional import int8_vectorwise_dequant

    dtype = split.outliers.dtype
    out = torch.ops.bitsandbytes.int8_scaled_mm.default(
        split.numbers, weight, split.most, highest, bias=bias, dtype=dtype
    )
    wide = int8_vectorwise_dequant(weight, highest).to(dtype)
    return torch.addmm(out, split.outliers, wide.t())
