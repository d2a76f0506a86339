"""What a decode step does in place of a model's modules: with fewer launches, in fixed shapes.

At decode time a GPU waits for launches, not for arithmetic. On Llama, Mistral and Qwen models
kernels take the place of norms, adapters and attention, and on all models int8 layers look for
their outliers on the device. The modules' `forward` is replaced while a step runs, and put back
after it: training, prefill and `generate` never see it. Whatever is not listed here runs as it is.
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

from harness.backends.hf.decoding.fused_adapters import fused_adapters
from harness.backends.hf.decoding.mixed_int8 import mixed_int8
from harness.backends.hf.forwards import replaced, rotations_replaced

FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose norms, rotary embedding and attention are the ones replaced."""
ATTENTION = "harness_decode"

Forwards = dict[torch.nn.Module, Callable[..., torch.Tensor]]
"""Module → what it does in a step."""


@dataclass
class Fusing:
    """What is replaced in one model."""

    forwards: Forwards = field(default_factory=dict)
    """Module → what it does in a step."""
    of_prompts: Forwards = field(default_factory=dict)
    """Those of them that take whole prompts too."""
    configs: list[Any] = field(default_factory=list)
    """Configurations that name the attention function."""
    sources: list[Any] = field(default_factory=list)
    """Python modules whose rotary embedding is replaced."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind → how many were replaced."""

    def take(self, kind: str, forwards: Forwards, *, prompts: bool = False) -> None:
        """Replace ``forwards`` too, counted as ``kind``; while prompts are read as well, or not."""
        self.forwards |= forwards
        self.of_prompts |= forwards if prompts else {}
        if forwards:
            self.counts[kind] += len(forwards)

    def drop(self, kind: str, forwards: Forwards) -> None:
        """Replace ``forwards`` no more."""
        for module in forwards:
            del self.forwards[module]
        self.counts.pop(kind, None)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read prompts inside with the kernels that take them."""
        with replaced(self.of_prompts):
            yield

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run what is inside with the kernels."""
        names = [config._attn_implementation for config in self.configs]
        try:
            for config in self.configs:
                config._attn_implementation = ATTENTION
            with rotations_replaced(self.sources, lambda _: _rotate), replaced(self.forwards):
                yield
        finally:
            for config, name in zip(self.configs, names, strict=True):
                config._attn_implementation = name


def fusing_of(model: PreTrainedModel) -> Fusing | None:
    """What is replaced in ``model`` on a CUDA device; None where nothing can be."""
    kernels, found = _kernels_build(), Fusing()
    name = "int8" if kernels else "int8 by PyTorch"
    found.take(name, mixed_int8(model, kernels=kernels))
    if kernels and model.config.get_text_config().model_type in FAMILIES:
        _of_family(model, found)
    return found if found.forwards or found.configs else None


def _of_family(model: PreTrainedModel, found: Fusing) -> None:
    """Norms, adapters and attention."""
    for parent in model.modules():
        found.take("adapters", fused_adapters(parent), prompts=True)
        if _is_norm(parent):
            found.take("norms", {parent: _norm(parent)}, prompts=True)
        elif _is_attention(parent):
            found.counts["attention"] += 1
            source = sys.modules[type(parent).__module__]
            if source not in found.sources and hasattr(source, "apply_rotary_pos_emb"):
                found.sources.append(source)
            if not any(config is parent.config for config in found.configs):
                found.configs.append(parent.config)
    if found.configs:
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)


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


def _norm(module: Any) -> Callable[..., torch.Tensor]:
    from harness.backends.hf.decoding import kernels

    def forward(x: torch.Tensor) -> torch.Tensor:
        return kernels.rms_norm(x, module.weight, module.variance_epsilon)

    return forward


def _rotate(*args: Any) -> tuple[torch.Tensor, torch.Tensor]:
    from harness.backends.hf.decoding import kernels

    return kernels.rotate(*args)


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
