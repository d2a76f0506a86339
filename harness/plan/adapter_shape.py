"""What an adapter changes in a model, and how many parameters it trains, from numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.plan.architecture import ENCODERS, FAMILIES, Linear, Shape
from harness.plan.modules import BLOCKS, LLAMA, matched

_QUERY_VALUE = ("q_proj", "v_proj")
DEFAULT_TARGETS: dict[str, dict[str, tuple[str, ...]]] = {
    "lora": {
        **{family: _QUERY_VALUE for family in FAMILIES if family != "phi3"},
        **dict.fromkeys(ENCODERS, ("query", "value")),
    },
    "ia3": {
        **dict.fromkeys(("llama", "mistral"), ("k_proj", "v_proj", "down_proj")),
        **dict.fromkeys(("qwen2", "qwen3", "gemma3_text"), (*_QUERY_VALUE, "down_proj")),
    },
}
"""PEFT method → family → the modules that PEFT takes when none are named; none for Phi 3, whose
suites must name them."""
VOCABULARY_MODULES = ("embed_tokens", "lm_head", "word_embeddings")
"""Modules of the vocabulary's size times the hidden size."""
SMALL_MODULES = (
    "score", "classifier", "pooler", "norm", "input_layernorm", "post_attention_layernorm",
    "q_norm", "k_norm", "LayerNorm",
)  # fmt: skip
"""Modules whose parameters are too few to count: heads of some labels, norms."""
UNCOUNTED = (
    "modules_to_save", "rank_pattern", "layers_to_transform", "exclude_modules", "lora_bias",
    "trainable_token_indices", "target_parameters", "layer_replication",
)  # fmt: skip
"""Keys of an adapter that change how many parameters it trains in ways that are not counted."""
_PATHS = {
    **{path.rpartition(".")[2]: path for path in (*LLAMA, *BLOCKS["phi3"][1])},
    **{name: f"attention.self.{name}" for name in ("query", "key", "value")},
}
"""Linear layer → where it is in its block, if its name does not say it."""
_BLOCKS_AT = {
    **{family: BLOCKS[family][0] for family in FAMILIES},
    **{family: f"{family}.encoder.layer" for family in ENCODERS},
}


def adapted_layers(shape: Shape, adapter: Mapping[str, Any]) -> dict[Linear, int]:
    """Linear layer of a block → in how many blocks ``adapter`` changes it, where it does."""
    named = adapter.get("target_modules")
    if named is None:
        named = DEFAULT_TARGETS.get(adapter.get("peft_type", "lora"), {}).get(shape.family, ())
    found = {}
    for linear in shape.linears:
        where = f"{_BLOCKS_AT[shape.family]}.{{}}.{_PATHS.get(linear.name, linear.name)}"
        count = len(matched([where.format(k) for k in range(shape.layers)], named))
        if count:
            found[linear] = count
    return found


def targets(shape: Shape, adapter: Mapping[str, Any]) -> list[Linear]:
    """The linear layers of a block that ``adapter`` (its `peft_type` and keys) changes."""
    return list(adapted_layers(shape, adapter))


def trainable_params(shape: Shape, adapter: Mapping[str, Any]) -> int | None:
    """Trainable parameters of a LoRA or (IA)³ adapter; None for methods not counted here."""
    if any(adapter.get(key) for key in UNCOUNTED) or adapter.get("bias", "none") != "none":
        return None
    method, chosen = adapter.get("peft_type", "lora"), adapted_layers(shape, adapter)
    if method == "lora":
        return low_rank_params(shape, adapter)
    if method == "ia3":
        inner = adapter.get("feedforward_modules") or ("down_proj",)
        return sum(
            count * (linear.inputs if linear.name in inner else linear.outputs)
            for linear, count in chosen.items()
        )
    return None


def low_rank_params(shape: Shape, adapter: Mapping[str, Any]) -> int:
    """Parameters of a LoRA adapter's pairs of matrices, and of DoRA's magnitudes.

    Where `rank_pattern` gives layers other ranks, this counts the highest for all: an upper bound.
    Values in it that are no whole numbers are passed over; PEFT refuses them when the cell runs.
    """
    others = (adapter.get("rank_pattern") or {}).values()
    rank = max([int(adapter.get("r", 8)), *(each for each in others if isinstance(each, int))])
    found = 0
    for linear, count in adapted_layers(shape, adapter).items():
        magnitude = linear.outputs if adapter.get("use_dora") else 0
        found += count * (rank * (linear.inputs + linear.outputs) + magnitude)
    return found


def saved_params(shape: Shape, adapter: Mapping[str, Any]) -> int:
    """Parameters of what ``adapter`` trains whole (`modules_to_save`).

    For a module that is not known here, all of the model's.
    """
    of_linears = {linear.name: shape.layers * linear.weights for linear in shape.linears}
    names = adapter.get("modules_to_save") or ()
    counted = {**dict.fromkeys(SMALL_MODULES, 0), **of_linears}
    counted |= dict.fromkeys(VOCABULARY_MODULES, shape.embedding)
    return sum(counted.get(str(name).rpartition(".")[2], shape.parameters) for name in names)
