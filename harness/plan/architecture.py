"""Parameters and bytes of a model from its configuration alone: no weights, no torch.

For decoders of Llama's kind (Llama, Mistral, Qwen2 and 3, Gemma 3, Phi 3) and encoders of BERT's.
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

from harness.errors import HarnessError
from harness.plan.hub import hub_model
from harness.plan.modules import MOST_LAYERS
from harness.suite.model_card import ModelCard

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3")
ENCODERS = ("bert", "roberta")
NEEDED_SIZES = (
    "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size",
)  # fmt: skip
OTHER_SIZES = ("max_position_embeddings", "type_vocab_size", "num_key_value_heads", "head_dim")
LARGEST_SIZE = 10**9
"""Of any size in a configuration; the largest published context windows are of 10^7 tokens."""
BIASED = {"qwen2": ("q_proj", "k_proj", "v_proj")}
"""Family → linear layers with a bias, where the configuration does not say."""
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
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
    """Whether there is no head of the vocabulary's size besides the embedding."""
    linears: tuple[Linear, ...]
    """Of one block."""
    norms: int
    """Parameters of a block's norms."""
    outside: int
    """Parameters outside the blocks, beside embedding and head: final norm, positions, pooler."""

    @property
    def is_encoder(self) -> bool:
        """Whether it reads a text at once and has no vocabulary to answer in."""
        return self.family in ENCODERS

    @property
    def embedding(self) -> int:
        """Parameters of the embedding; a head of its own has as many."""
        return self.vocabulary * self.hidden

    @property
    def block(self) -> int:
        """Parameters of one block: linear layers, biases and norms."""
        biases = sum(linear.outputs for linear in self.linears if linear.bias)
        return sum(linear.weights for linear in self.linears) + biases + self.norms

    @property
    def parameters(self) -> int:
        """All parameters; a tied head is counted once."""
        return self.embedding * (1 if self.tied else 2) + self.layers * self.block + self.outside

    @property
    def linear_weights(self) -> int:
        """Parameters in the blocks' linear layers, which quantization packs."""
        return self.layers * sum(linear.weights for linear in self.linears)


def architecture_of(card: ModelCard) -> Mapping[str, Any] | None:
    """The configuration in ``card``, in its local folder's `config.json`, or in the hub's."""
    if card.is_served:
        return None
    if card.architecture is not None:
        return _checked(card.architecture, f"model {card.name}: architecture")
    if card.is_local:
        path = Path(card.source) / "config.json"
        return _checked(_configuration(path), str(path)) if path.is_file() else None
    found = hub_model(card.source, card.revision).configuration
    return None if found is None else _checked(found, f"config.json of {card.source}")


def _checked(found: object, where: str) -> dict[str, Any]:
    """``found`` as a configuration. It comes with a checkpoint, from anyone.

    Raises:
        HarnessError: it is not an object, or a size that is computed with is not a whole number
            above 0.
    """
    hint = "Take the file from a copy of the model."
    if not isinstance(found, Mapping):
        raise HarnessError("is no model's configuration", where=where, hint=hint)
    if found.get("model_type") not in (*FAMILIES, *ENCODERS):
        return dict(found)  # nothing is computed from it
    for key in (*NEEDED_SIZES, *OTHER_SIZES):
        size = found.get(key)
        if size is not None and (type(size) is not int or not 0 < size <= LARGEST_SIZE):
            what = f"{key}: expected a whole number above 0, got {str(size)[:40]!r}"
            raise HarnessError(what, where=where, hint=hint)
    return dict(found)


@cache
def _configuration(path: Path) -> Mapping[str, Any]:
    """The JSON object in ``path``, read once in a process: many cells share a model."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        hint = "Take the file from a copy of the model."
        raise HarnessError(f"cannot be read: {error}", where=str(path), hint=hint) from None
    return found


def shape_of(architecture: Mapping[str, Any] | None) -> Shape | None:
    """The shape that ``architecture`` builds; None for a family that is not known here."""
    family = (architecture or {}).get("model_type")
    if architecture is None or family not in (*FAMILIES, *ENCODERS):
        return None
    needed = (*NEEDED_SIZES, *(OTHER_SIZES[:1] if family in ENCODERS else ()))
    if any(architecture.get(key) is None for key in needed):
        return None
    if architecture["num_hidden_layers"] > MOST_LAYERS:
        return None  # which layers an adapter changes is found out by their names, one by one
    return _encoder(architecture) if family in ENCODERS else _decoder(architecture)


def _decoder(a: Mapping[str, Any]) -> Shape:
    family, hidden, inner = a["model_type"], a["hidden_size"], a["intermediate_size"]
    heads = a["num_attention_heads"]
    kv_heads = a.get("num_key_value_heads") or heads
    size = a.get("head_dim") or hidden // heads
    if family == "phi3":  # queries, keys and values in one matrix, gate and up in another
        sizes = {
            "qkv_proj": (hidden, (heads + 2 * kv_heads) * size),
            "o_proj": (heads * size, hidden),
            "gate_up_proj": (hidden, 2 * inner),
            "down_proj": (inner, hidden),
        }
    else:
        outs = {"q_proj": heads * size, "k_proj": kv_heads * size, "v_proj": kv_heads * size}
        sizes = {name: (hidden, out) for name, out in outs.items()}
        sizes |= {"o_proj": (heads * size, hidden), "gate_proj": (hidden, inner)}
        sizes |= {"up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    biased = ATTENTION if a.get("attention_bias") else BIASED.get(family, ())
    # Gemma 3 has norms after attention and MLP too; it and Qwen 3 norm each head's queries and keys
    norms = (4 if family == "gemma3_text" else 2) * hidden
    norms += 2 * size if family in ("gemma3_text", "qwen3") else 0
    return Shape(
        family=family, layers=a["num_hidden_layers"], hidden=hidden, intermediate=inner,
        heads=heads, kv_heads=kv_heads, head_size=size, vocabulary=a["vocab_size"],
        tied=bool(a.get("tie_word_embeddings", family == "gemma3_text")),
        linears=tuple(Linear(name, i, o, name in biased) for name, (i, o) in sizes.items()),
        norms=norms, outside=hidden,
    )  # fmt: skip


def _encoder(a: Mapping[str, Any]) -> Shape:
    """BERT and RoBERTa: learned positions, layer norms with a bias, a pooler."""
    hidden, inner, heads = a["hidden_size"], a["intermediate_size"], a["num_attention_heads"]
    sizes = dict.fromkeys(("query", "key", "value", "attention.output.dense"), (hidden, hidden))
    sizes |= {"intermediate.dense": (hidden, inner), "output.dense": (inner, hidden)}
    positions = a["max_position_embeddings"] + (a.get("type_vocab_size") or 2)
    pooler = hidden * hidden + hidden
    return Shape(
        family=a["model_type"], layers=a["num_hidden_layers"], hidden=hidden, intermediate=inner,
        heads=heads, kv_heads=heads, head_size=hidden // heads, vocabulary=a["vocab_size"],
        tied=True, linears=tuple(Linear(name, i, o, True) for name, (i, o) in sizes.items()),
        norms=4 * hidden, outside=positions * hidden + 2 * hidden + pooler,
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
