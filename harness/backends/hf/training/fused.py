"""A training step with fewer launches: the model's small operations fused, and put back after it.

Most of a captured step of a small model is reading and writing memory: casts around adapters, norms
in six passes, rotary embeddings in five. What is replaced here is on an allow-list, and the cell's
own check (`check`) compares the whole with the model as it is, padded, before it trains. Whatever
is not listed runs as it is.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.backends.hf.forwards import Rotation, replaced, rotations_replaced
from harness.backends.hf.training.dropout import config_dropouts, dropout_modules
from harness.backends.hf.training.fused_lora import Copies, fused_group, fused_lora

Pair = tuple[torch.Tensor, torch.Tensor]
FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose norm, rotary embedding, gated activation and logits are those replaced."""
SHARED_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one parent that read the same tensor, in the order in which those families call them.
"""


@dataclass
class Fused:
    """What is replaced in one model."""

    copies: Copies
    forwards: dict[torch.nn.Module, Callable[..., torch.Tensor]] = field(default_factory=dict)
    """Module → what it does instead."""
    sources: list[Any] = field(default_factory=list)
    """Python modules whose rotary embedding is replaced."""
    loss: bool = False
    """Whether the loss is computed by a kernel, over the logits."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind → how many were replaced."""

    def draws(self, model: PreTrainedModel) -> bool:
        """Whether all dropout of ``model`` is drawn by its fused adapters."""
        return not config_dropouts(model) and len(dropout_modules(model)) == self.copies.masks

    def describe(self) -> dict[str, object]:
        """What was replaced, for the result."""
        counts = {kind: count for kind, count in sorted(self.counts.items()) if count}
        return {"fused": counts} if counts else {}


@contextmanager
def fused(model: PreTrainedModel, *, half: bool, wanted: bool) -> Iterator[Fused]:
    """Run what is inside with fewer launches, if ``wanted``; everything is put back afterwards.

    Args:
        model: the model, in training.
        half: whether matrix products are autocast to bfloat16.
        wanted: whether to replace anything.
    """
    found = _found(model, half) if wanted else Fused(Copies(torch.float32))
    with rotations_replaced(found.sources, _rotation), replaced(found.forwards):
        yield found


def _found(model: PreTrainedModel, half: bool) -> Fused:
    found = Fused(Copies(torch.bfloat16 if half else torch.float32))
    if half and model.device.type == "cuda" and _has_triton():
        found.copies.seed = torch.zeros(1, dtype=torch.long, device=model.device)
    if not half and model.dtype is not torch.float32:
        return found  # adapters are then multiplied in float32, and their layers are not
    if model.config.model_type in FAMILIES:
        for module in model.modules():
            _add_groups(module, found)
    for module in model.modules():
        if module not in found.forwards and (forward := fused_lora(module, found.copies)):
            found.forwards[module] = forward
    found.counts["adapters"] = len(found.forwards)
    if half and _has_kernels(model):
        _add_kernels(model, found)
    return found


def _add_groups(parent: torch.nn.Module, found: Fused) -> None:
    for names in SHARED_INPUTS:
        layers = [getattr(parent, name, None) for name in names]
        if None not in layers and (forwards := fused_group(layers, found.copies)):
            found.forwards.update(zip(layers, forwards, strict=True))
            found.counts["shared inputs"] += 1


def _has_kernels(model: PreTrainedModel) -> bool:
    known = model.config.model_type in FAMILIES and model.dtype is torch.bfloat16
    return known and model.device.type == "cuda" and _has_triton()


def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _add_kernels(model: PreTrainedModel, found: Fused) -> None:
    found.loss = True
    found.counts["loss"] = 1
    for module in model.modules():
        if _is_norm(module):
            found.forwards[module] = _norm(module)
            found.counts["norms"] += 1
        elif _is_gated(module):
            found.forwards[module] = _gated(module)
            found.counts["gates"] += 1
        elif hasattr(module, "layer_idx") and hasattr(module, "num_key_value_groups"):
            source = sys.modules[type(module).__module__]
            if source not in found.sources and hasattr(source, "apply_rotary_pos_emb"):
                found.sources.append(source)
            found.counts["rotary"] += source in found.sources


def _is_norm(module: torch.nn.Module) -> bool:
    if not type(module).__name__.endswith("RMSNorm") or not hasattr(module, "variance_epsilon"):
        return False
    weight = module.weight
    # the kernel makes no gradient of the gain
    return weight.dtype is torch.bfloat16 and not weight.requires_grad


def _norm(module: Any) -> Callable[..., torch.Tensor]:
    from harness.backends.hf.training.kernels import Norm

    own = type(module).forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.dtype is not torch.bfloat16:
            return own(module, x)  # type: ignore[no-any-return]
        return Norm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-any-return]

    return forward


def _is_gated(module: torch.nn.Module) -> bool:
    parts = ("gate_proj", "up_proj", "down_proj", "act_fn")
    if not all(hasattr(module, part) for part in parts):
        return False
    return type(module.act_fn).__name__ in ("SiLU", "SiLUActivation")


def _gated(module: Any) -> Callable[..., torch.Tensor]:
    from harness.backends.hf.training.kernels import Gate

    def forward(x: torch.Tensor) -> torch.Tensor:
        gated = Gate.apply(module.gate_proj(x), module.up_proj(x))
        return module.down_proj(gated)  # type: ignore[no-any-return]

    return forward


def _rotation(own: Rotation) -> Rotation:
    """What replaces ``own``, which still gets what the kernel does not know."""

    def rotated(
        q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor,
        *more: Any, **named: Any,
    ) -> Pair:  # fmt: skip
        usual = not more and named in ({}, {"unsqueeze_dim": 1})
        if not usual or not _turns(q, cos, sin) or not _turns(k, cos, sin):
            return own(q, k, cos, sin, *more, **named)
        from harness.backends.hf.training.kernels import rotate

        return rotate(q, k, cos.to(q.dtype), sin.to(q.dtype))

    return rotated


def _turns(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> bool:
    """Whether the kernel turns ``x``: one flat batch on CUDA, (1, heads, tokens, size)."""
    if not x.is_cuda or x.dim() != 4:
        return False
    known = (1, x.shape[2], x.shape[3])
    return x.shape[0] == 1 and tuple(cos.shape) == tuple(sin.shape) == known
