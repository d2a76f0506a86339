"""LoRA adapters of a decode step by two kernels each: into the rank, and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.backends.hf.decoding.shared_inputs import Shared, groups_of

MAX_RANK = 64


Forwards = dict[torch.nn.Module, Callable[..., torch.Tensor]]
"""Module → what it does in a step."""


def fused_adapters(parent: torch.nn.Module) -> Forwards:
    """What the plain LoRA layers among ``parent``'s children do in a step."""
    children = {name: child for name, child in parent.named_children() if _is_plain_lora(child)}
    found: Forwards = {}
    for group in groups_of(children, _shape):
        found |= _fused(group)
    return found


def _fused(layers: list[Any]) -> Forwards:
    """What ``layers`` do, which read the same tensor: the first works for all."""
    shared = Shared(_adapted(layers))
    last = len(layers) - 1
    return {layer: _forward(shared, k, last=k == last) for k, layer in enumerate(layers)}


def _forward(
    shared: Shared[list[torch.Tensor]], place: int, *, last: bool
) -> Callable[..., torch.Tensor]:
    return lambda x, *_, **__: shared.of(x, last=last)[place]


def _adapted(layers: list[Any]) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """What gives the outputs of ``layers`` for the tensor that they read."""
    from harness.backends.hf.decoding.adapter_kernels import Up, adapter_down, adapter_up

    name = layers[0].active_adapters[0]
    down = torch.stack([layer.lora_A[name].weight.detach() for layer in layers])
    ups = [Up(a.lora_B[name].weight.detach(), float(a.scaling[name])) for a in layers]
    # PEFT's quantized layers round the adapter's output first, its plain ones add in float32
    rounded = type(layers[0]).__name__ != "Linear"

    def forward(x: torch.Tensor) -> list[torch.Tensor]:
        inner = adapter_down(x, down)
        results = [_rows_of(layer.base_layer(x)) for layer in layers]
        adapter_up(results, inner, ups, rounded=rounded)
        return results

    return forward


def _rows_of(result: torch.Tensor) -> torch.Tensor:
    """``result`` as the kernel takes it: of one token a row, it may be part of a wider tensor."""
    part = result.dim() == 3 and result.shape[1] == 1 and result.stride(-1) == 1
    return result if part else result.contiguous()


def _shape(layer: Any) -> tuple[object, ...]:
    name = layer.active_adapters[0]
    return type(layer).__name__, name, *layer.lora_A[name].weight.shape


def _is_plain_lora(layer: Any) -> bool:
    """Whether ``layer`` is one float32 LoRA adapter on a linear layer, as PEFT first had it."""
    if type(layer).__name__ not in ("Linear", "Linear4bit", "Linear8bitLt"):
        return False
    if not hasattr(layer, "lora_A") or layer.merged or layer.disable_adapters or layer.training:
        return False
    active = layer.active_adapters
    if len(active) != 1 or active[0] not in layer.lora_A or active[0] in layer.lora_variant:
        return False
    down, up = layer.lora_A[active[0]], layer.lora_B[active[0]]
    plain = down.bias is None and up.bias is None
    wide = down.weight.dtype == up.weight.dtype == torch.float32
    return plain and wide and down.weight.shape[0] <= MAX_RANK and up.weight.is_contiguous()
