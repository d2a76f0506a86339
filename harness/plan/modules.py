"""Names of a decoder's layers from its configuration alone, and which of them PEFT would adapt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError

LLAMA = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip
_TWO_STEP = ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
BLOCKS: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3",
            "granite", "olmo", "olmo2", "cohere", "stablelm",
        ),
        ("model.layers", LLAMA),
    ),
    "phi3": (
        "model.layers",
        ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"),
    ),
    "starcoder2": ("model.layers", (*LLAMA[:4], "mlp.c_fc", "mlp.c_proj")),
    "gpt2": ("transformer.h", ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
    "gpt_neox": (
        "gpt_neox.layers", ("attention.query_key_value", "attention.dense", *_TWO_STEP)
    ),
    "bloom": (
        "transformer.h", ("self_attention.query_key_value", "self_attention.dense", *_TWO_STEP)
    ),
    "falcon": (
        "transformer.h", ("self_attention.query_key_value", "self_attention.dense", *_TWO_STEP)
    ),
    "opt": (
        "model.decoder.layers", (*LLAMA[:3], "self_attn.out_proj", "fc1", "fc2")
    ),
}  # fmt: skip
"""`model_type` → where its blocks are and the layers with weights in one. A test builds each."""
OUTSIDE = {
    "transformer.h": ("transformer.wte", "transformer.word_embeddings", "lm_head"),
    "gpt_neox.layers": ("gpt_neox.embed_in", "embed_out", "lm_head"),
    "model.decoder.layers": ("model.decoder.embed_tokens", "lm_head"),
    "model.layers": ("model.embed_tokens", "lm_head"),
}
"""Where the blocks are → the embeddings and the head, which PEFT adapts when they are named."""
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers")


MOST_LAYERS = 10_000
"""More blocks than any model has: a broken configuration would list names without end."""


def layer_names(architecture: Mapping[str, Any] | None) -> list[str] | None:
    """Every layer that PEFT may adapt; None for an architecture that is not known here."""
    found = BLOCKS.get(str((architecture or {}).get("model_type")))
    if found is None or architecture is None:
        return None
    blocks, layers = found
    depth = next((architecture[key] for key in DEPTHS if key in architecture), 1)
    if type(depth) is not int or not 0 < depth <= MOST_LAYERS:
        return None
    inside = [f"{blocks}.{k}.{layer}" for k in range(depth) for layer in layers]
    return [*inside, *OUTSIDE[blocks]]


def matched(names: Sequence[str], targets: object) -> list[str]:
    """The ``names`` that PEFT adapts under ``targets``: a regular expression, or ends of names."""
    if targets == "all-linear":
        return list(names)
    if isinstance(targets, str):
        try:
            return [name for name in names if re.fullmatch(targets, name)]
        except re.error:
            return []
    ends = tuple(str(target) for target in targets) if isinstance(targets, list | tuple) else ()
    return [name for name in names if any(name == end or name.endswith(f".{end}") for end in ends)]


def short_names(names: Sequence[str]) -> Iterator[str]:
    """The last part of each name once, as one writes it in `target_modules`."""
    return iter(dict.fromkeys(name.rpartition(".")[2] for name in names))


def target_error(targets: object, names: Sequence[str], model: str) -> HarnessError | None:
    """What is wrong with an adapter's ``targets`` on a ``model`` of these layers; None if nothing.

    Args:
        targets: `target_modules`: a list of ends of names, or one regular expression.
        names: The model's layers.
        model: Its name, for the message.
    """
    each = targets if isinstance(targets, list | tuple) else [targets]
    lost = [o for o in each if not matched(names, o if isinstance(targets, str) else [o])]
    if not lost:
        return None
    what = f"{targets} match no layer of {model}, so nothing would be trained"
    if len(lost) < len(each):
        what = f"{lost} match no layer of {model}, so less would be trained"
    return HarnessError(what, hint=f"It has: {', '.join(short_names(names))}.")
