"""A decode step with fewer launches: kernels in place of a model's norms, adapters and attention.

At decode time a GPU waits for launches, not for arithmetic. On Llama, Mistral and Qwen models the
modules' `forward` is replaced while a step runs, and put back after it: training, prefill and
`generate` never see the kernels. Whatever is not listed here runs as it is.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose norms, rotary embedding and attention are the ones replaced."""
SHARED_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one parent that read the same tensor."""
MAX_RANK = 64
ATTENTION = "harness_decode"


@dataclass
class Fusing:
    """What is replaced in one model."""

    forwards: dict[Any, Callable[..., torch.Tensor]] = field(default_factory=dict)
    """Module → what it does in a step."""
    configs: list[Any] = field(default_factory=list)
    """Configurations that name the attention function."""
    sources: list[Any] = field(default_factory=list)
    """Python modules whose rotary embedding is replaced."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind → how many were replaced."""

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run what is inside with the kernels."""
        from harness.backends.hf.decoding import kernels

        before = [(module, vars(module).get("forward")) for module in self.forwards]
        names = [config._attn_implementation for config in self.configs]
        rotary = [source.apply_rotary_pos_emb for source in self.sources]
        try:
            for module, forward in self.forwards.items():
                module.forward = forward
            for config in self.configs:
                config._attn_implementation = ATTENTION
            for source in self.sources:
                source.apply_rotary_pos_emb = kernels.rotate
            yield
        finally:
            for module, forward in before:
                if forward is None:
                    del module.forward
                else:
                    module.forward = forward
            for config, name in zip(self.configs, names, strict=True):
                config._attn_implementation = name
            for source, function in zip(self.sources, rotary, strict=True):
                source.apply_rotary_pos_emb = function


def fusing_of(model: PreTrainedModel) -> Fusing | None:
    """What can be replaced in ``model``; None where nothing can, or where kernels do not build."""
    if model.config.get_text_config().model_type not in FAMILIES or not _kernels_build():
        return None
    found = Fusing()
    for parent in model.modules():
        _adapters(parent, found)
        if _is_norm(parent):
            found.forwards[parent] = _norm(parent)
            found.counts["norms"] += 1
        elif _is_attention(parent):
            found.counts["attention"] += 1
            source = sys.modules[type(parent).__module__]
            if source not in found.sources and hasattr(source, "apply_rotary_pos_emb"):
                found.sources.append(source)
            if not any(config is parent.config for config in found.configs):
                found.configs.append(parent.config)
    if found.configs:
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    return found


_built: list[bool] = []


def _kernels_build() -> bool:
    """Whether Triton and the compiler that it needs are there: tried once a process."""
    if not _built:
        _built.append(_try_to_build())
    return _built[0]


def _try_to_build() -> bool:
    if not torch.cuda.is_available() or importlib.util.find_spec("triton") is None:
        return False
    from triton.errors import TritonError

    from harness.backends.hf.decoding import kernels

    one = torch.ones(1, 16, device="cuda")
    try:
        kernels.rms_norm(one, one[0], 1e-6)
    except (RuntimeError, OSError, subprocess.CalledProcessError, TritonError):
        return False
    return True


def _is_norm(module: torch.nn.Module) -> bool:
    return type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")


def _norm(module: torch.nn.Module) -> Callable[..., torch.Tensor]:
    from harness.backends.hf.decoding import kernels

    def forward(x: torch.Tensor) -> torch.Tensor:
        return kernels.rms_norm(x, module.weight, module.variance_epsilon)

    return forward


def _is_attention(module: torch.nn.Module) -> bool:
    return hasattr(module, "layer_idx") and hasattr(module, "num_key_value_groups")


def _attention(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any,
    scaling: float, *, decode_cache: Any, sliding_window: int | None = None, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """The attention interface of transformers over a `FixedCache`."""
    from harness.backends.hf.decoding import kernels

    out = kernels.attend(
        query, key, value, decode_cache, module.layer_idx, scale=scaling, window=sliding_window
    )
    return out, None


@dataclass
class _Group:
    """Adapters that read the same tensor: their inner products are made once."""

    weight: torch.Tensor
    """Shape (adapters, rank, inputs)."""
    x: torch.Tensor | None = None
    inner: torch.Tensor | None = None

    def of(self, x: torch.Tensor) -> torch.Tensor:
        from harness.backends.hf.decoding import kernels

        if x is not self.x or self.inner is None:
            self.x, self.inner = x, kernels.adapter_down(x, self.weight)
        return self.inner

    def forget(self) -> None:
        self.x = self.inner = None


def _adapters(parent: torch.nn.Module, found: Fusing) -> None:
    """Replace the plain LoRA layers among ``parent``'s children."""
    children = {name: child for name, child in parent.named_children() if _is_plain_lora(child)}
    for names in SHARED_INPUTS:
        group = [children[name] for name in names if name in children]
        if len(group) == len(names) and len({_shape(child) for child in group}) == 1:
            _fuse(group, found)
            for name in names:
                del children[name]
    for child in children.values():
        _fuse([child], found)


def _fuse(layers: list[Any], found: Fusing) -> None:
    name = layers[0].active_adapters[0]
    group = _Group(torch.stack([layer.lora_A[name].weight.detach() for layer in layers]))
    for member, layer in enumerate(layers):
        found.forwards[layer] = _lora(layer, group, member, last=member == len(layers) - 1)
    found.counts["adapters"] += len(layers)


def _lora(
    layer: torch.nn.Module, group: _Group, member: int, *, last: bool
) -> Callable[..., torch.Tensor]:
    from harness.backends.hf.decoding import kernels

    name = layer.active_adapters[0]
    weight = layer.lora_B[name].weight.detach()
    scaling = float(layer.scaling[name])
    # PEFT's quantized layers round the adapter's output first, its plain ones add in float32
    rounded = type(layer).__name__ != "Linear"

    def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        inner = group.of(x)
        result = layer.base_layer(x).contiguous()
        if last:
            group.forget()
        return kernels.adapter_up(result, inner, member, weight, scaling=scaling, rounded=rounded)

    return forward


def _shape(layer: torch.nn.Module) -> tuple[int, ...]:
    return tuple(layer.lora_A[layer.active_adapters[0]].weight.shape)


def _is_plain_lora(layer: torch.nn.Module) -> bool:
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
