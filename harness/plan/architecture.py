"""Parameters and bytes of a decoder from its configuration alone: no weights, no torch.

For Llama's family (Llama, Mistral, Qwen2): seven linear layers a block, RMS norms, no learned
positions.
Bytes follow bitsandbytes: 8-bit rows carry a float32 scale each; 4-bit weights one per block of 64,
itself 8-bit with a float32 per 256 blocks under double quantization. Heads and embeddings stay in
the model's dtype. `harness models show` builds the same on torch's meta device; a test holds both
equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.suite.model_card import ModelCard

FAMILIES = ("llama", "mistral", "qwen2")
BIASED = {"qwen2": ("q_proj", "k_proj", "v_proj")}
"""Family → linear layers with a bias, where the configuration does not say."""
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
DEFAULT_TARGETS: dict[str, dict[str, tuple[str, ...]]] = {
    "lora": dict.fromkeys(FAMILIES, ("q_proj", "v_proj")),
    "ia3": {
        "llama": ("k_proj", "v_proj", "down_proj"),
        "mistral": ("k_proj", "v_proj", "down_proj"),
        "qwen2": ("q_proj", "v_proj", "down_proj"),
    },
}
"""PEFT method → family → the modules that PEFT takes when none are named."""
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
BLOCK, NESTED_BLOCK = 64, 256
"""Weights that share a scale in 4 bits, and scales that share one under double quantization."""


@dataclass(frozen=True)
class Linear:
    """One linear layer of a block."""

    name: str
    inputs: int
    outputs: int
    bias: bool

    @property
    def weights(self) -> int:
        """Parameters without the bias."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Shape:
    """What a configuration builds."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    linears: tuple[Linear, ...]
    """Of one block."""

    @property
    def embedding(self) -> int:
        """Parameters of the embedding; a head of its own has as many."""
        return self.vocabulary * self.hidden

    @property
    def block(self) -> int:
        """Parameters of one block: linear layers, biases and two norms."""
        biases = sum(linear.outputs for linear in self.linears if linear.bias)
        return sum(linear.weights for linear in self.linears) + biases + 2 * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; a tied head is counted once."""
        return self.embedding * (1 if self.tied else 2) + self.layers * self.block + self.hidden

    @property
    def linear_weights(self) -> int:
        """Parameters in the blocks' linear layers, which quantization packs."""
        return self.layers * sum(linear.weights for linear in self.linears)


def architecture_of(card: ModelCard) -> dict[str, Any] | None:
    """The configuration in ``card``, or in the `config.json` of its local folder."""
    if card.architecture is not None:
        return dict(card.architecture)
    path = Path(card.source) / "config.json"
    return dict(_configuration(path)) if card.is_local and path.is_file() else None


@cache
def _configuration(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, read once in a process: a model stands in many cells."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def shape_of(architecture: Mapping[str, Any] | None) -> Shape | None:
    """The shape that ``architecture`` builds; None for a family that is not known here."""
    if architecture is None or architecture.get("model_type") not in FAMILIES:
        return None
    a = architecture
    family, hidden = a["model_type"], a["hidden_size"]
    heads = a["num_attention_heads"]
    kv_heads = a.get("num_key_value_heads") or heads
    size = a.get("head_dim") or hidden // heads
    inner = a["intermediate_size"]
    biased = ATTENTION if a.get("attention_bias") else BIASED.get(family, ())
    outs = {"q_proj": heads * size, "k_proj": kv_heads * size, "v_proj": kv_heads * size}
    sizes = {name: (hidden, out) for name, out in outs.items()}
    sizes |= {"o_proj": (heads * size, hidden), "gate_proj": (hidden, inner)}
    sizes |= {"up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    return Shape(
        family, a["num_hidden_layers"], hidden, inner, heads, kv_heads, size, a["vocab_size"],
        bool(a.get("tie_word_embeddings", False)),
        tuple(Linear(name, i, o, name in biased) for name, (i, o) in sizes.items()),
    )  # fmt: skip


def dtype_bytes(dtype: str) -> int:
    """Bytes of a number of ``dtype``; `auto` counts as 16 bits."""
    return DTYPE_BYTES.get(dtype, 2)


def model_bytes(shape: Shape, quantization: Mapping[str, Any], dtype: str) -> int:
    """Bytes of the loaded weights under ``quantization`` (`BitsAndBytesConfig` keys)."""
    wide = dtype_bytes(dtype)
    packed = shape.linear_weights
    rest = (shape.parameters - packed) * wide
    if quantization.get("load_in_8bit"):
        rows = shape.layers * sum(linear.outputs for linear in shape.linears)
        return rest + packed + 4 * rows
    if quantization.get("load_in_4bit"):
        blocks = packed / BLOCK
        double = quantization.get("bnb_4bit_use_double_quant")
        scales = blocks * (1 + 4 / NESTED_BLOCK) if double else blocks * 4
        return round(rest + packed / 2 + scales)
    return rest + packed * wide


def targets(shape: Shape, adapter: Mapping[str, Any]) -> list[Linear]:
    """The linear layers of a block that ``adapter`` (its `peft_type` and keys) changes."""
    named = adapter.get("target_modules")
    if named == "all-linear":
        return list(shape.linears)
    if named is None:
        named = DEFAULT_TARGETS.get(adapter.get("peft_type", "lora"), {}).get(shape.family, ())
    names = [named] if isinstance(named, str) else list(named)
    return [linear for linear in shape.linears if linear.name in names]


def trainable_params(shape: Shape, adapter: Mapping[str, Any]) -> int | None:
    """Trainable parameters of a LoRA or (IA)³ adapter; None for methods not counted here."""
    method = adapter.get("peft_type", "lora")
    chosen = targets(shape, adapter)
    if method == "lora" and not adapter.get("modules_to_save"):
        rank = adapter.get("r", 8)
        low = sum(int(rank) * (linear.inputs + linear.outputs) for linear in chosen)
        magnitude = sum(linear.outputs for linear in chosen) if adapter.get("use_dora") else 0
        return int(shape.layers * (low + magnitude))
    if method == "ia3" and not adapter.get("modules_to_save"):
        inner = adapter.get("feedforward_modules") or ("down_proj",)
        return shape.layers * sum(
            linear.inputs if linear.name in inner else linear.outputs for linear in chosen
        )
    return None
