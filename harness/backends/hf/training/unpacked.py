"""4-bit weights unpacked once for a whole training, instead of in every pass over a layer.

The numbers are the same: bitsandbytes unpacks to the type of the input before it multiplies, and
so does this, once. It takes two bytes a weight, which is what packing had saved: hence only where a
suite asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel

from harness.backends.hf.forwards import replaced


def four_bit_layers(model: PreTrainedModel) -> list[Any]:
    """The layers of bitsandbytes alone: PEFT's wrapper around one bears the same name."""
    return [
        module
        for module in model.modules()
        if type(module).__name__ == "Linear4bit" and not type(module).__module__.startswith("peft.")
    ]


@torch.no_grad()
def unpacked_weight(layer: Any) -> torch.Tensor:
    """The weight of a 4-bit ``layer``, in the type that it had when it was packed."""
    from bitsandbytes.functional import dequantize_4bit

    packed = layer.weight
    wide: torch.Tensor = dequantize_4bit(packed.data, packed.quant_state)
    return wide


@contextmanager
def unpacked(model: PreTrainedModel, *, wanted: bool) -> Iterator[None]:
    """Let the 4-bit layers of ``model`` use copies of their weights inside, if ``wanted``."""
    layers = four_bit_layers(model) if wanted else []
    with replaced({layer: Unpacked(layer) for layer in layers}):
        yield


class Unpacked:
    """What `Linear4bit.forward` does, with the weight unpacked at the first call."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._weight: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        layer = self._layer
        if self._weight is None and not layer.compute_type_is_set:
            layer.set_compute_type(x)  # that of the first input, as bitsandbytes has it
            layer.compute_type_is_set = True
        weight = self.weight(layer.compute_dtype or x.dtype)
        bias = None if layer.bias is None else layer.bias.to(weight.dtype)
        # bitsandbytes computes in the layer's type whatever autocast says
        with torch.autocast(x.device.type, enabled=False):
            found: torch.Tensor = linear(x.to(weight.dtype), weight, bias).to(x.dtype)
        return found

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The unpacked weight: in ``dtype`` if this is the first call, else as it was then."""
        if self._weight is None:
            self._weight = unpacked_weight(self._layer).to(dtype)
        return self._weight
