"""Which ways of decoding a model are known to be right: an allow-list, never a guess.

Left padding and masks made here are only right where an architecture takes positions from
`position_ids` and reads its mask as its attention implementation says. The lists below are what
`tests/backends/hf/decoding/test_architectures.py` checks against `generate`, one prompt at a time;
whatever is not on them is decoded in a way that needs no padding.
"""

from __future__ import annotations

import inspect
from typing import Any

from transformers import GenerationConfig, PreTrainedModel

from harness.backends.hf.models.placing import split_reason
from harness.suite.schema import Options

ENGINE_OPTIONS = frozenset(
    {"max_new_tokens", "min_new_tokens", "do_sample", "pad_token_id", "eos_token_id"}
)
"""Generation keys that the engine knows; any other goes through `generate`."""
LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose cache is keys and values, and whose mask is made here."""
MASKS = frozenset({"sdpa", "eager"})
"""Attention implementations whose mask is known: `sdpa` selects by it, `eager` adds it."""

# Sorted, so that a diff shows which one came or went.
_ENGINE_TYPES = """
    afmoe apertus arcee aria_text axk1 beam bert bert-generation big_bird biogpt bitnet camembert
    codegen cohere cohere2 cohere2_moe ctrl cwm data2vec-text deepseek_v3 diffllama doge electra
    ernie ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon flex_olmo flint fuyu gemma gemma2
    gemma3_text gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite gpt2 gpt_bigcode gpt_neox
    gpt_neox_japanese gpt_oss gptj granite granite_swa granitemoe granitemoe_swa granitemoeshared
    helium hrm_text hy_v3 hyperclovax internlm3 iquestcoder jais2 jetmoe kolibri1 laguna llama
    megatron-bert mellum mimo_v2_flash minicpm3 minimax_m2 minimax_m3_vl_text ministral3 mistral
    mixtral modernbert-decoder nanochat nemotron olmo olmo2 olmo3 olmoe opt persimmon phi phi3
    phimoe qwen2 qwen2_moe qwen3 qwen3_moe rembert roberta roberta-prelayernorm roc_bert seed_oss
    smollm3 solar_open stablelm starcoder2 vaultgemma xglm xlm-roberta xlm-roberta-xl youtu
"""
ENGINE_TYPES = frozenset(_ENGINE_TYPES.split())
"""`model_type`s whose greedy answers by the engine equal `generate`'s."""
_PADDED_TYPES = """
    bloom falcon_h1 falcon_mamba jamba lfm2 lfm3 llama4_text mamba minimax mpt olmo_hybrid
    qwen3_5_moe_text qwen3_5_text qwen3_next
"""
PADDED_TYPES = frozenset(_PADDED_TYPES.split())
"""Further `model_type`s whose answers `generate` gets right in left-padded batches."""


def engine_reason(model: PreTrainedModel, config: GenerationConfig, options: Options) -> str | None:
    """Return why the engine cannot decode this; None if it can."""
    if config.do_sample:
        return "sampling"
    if split := split_reason(model):
        return split
    extra = sorted(k for k, v in options.items() if k not in ENGINE_OPTIONS and v is not None)
    if extra:
        return f"generation keys {', '.join(extra)}"
    if is_prompt_learning(model):
        return "prompt learning"
    settings = model.config.get_text_config(decoder=True)
    kinds = _layer_kinds(settings)
    if kinds - LAYERS:
        return f"layers of kind {', '.join(sorted(kinds - LAYERS))}"
    if getattr(settings, "is_encoder_decoder", False):
        return "an encoder and a decoder"
    if settings._attn_implementation not in MASKS:
        return f"attention implementation {settings._attn_implementation}"
    if not takes(model, "position_ids"):
        return "its forward takes no position_ids"
    if settings.model_type == "falcon" and settings.alibi:
        return "alibi, which is made from the padding mask"
    if model.config.model_type not in ENGINE_TYPES:
        return f"the architecture {model.config.model_type} is not among those checked"
    return None


def padding_reason(model: PreTrainedModel) -> str | None:
    """Return why prompts of different lengths must not share a batch; None if they may."""
    if is_prompt_learning(model):
        # the virtual tokens stand before the padding: positions would depend on the batch
        return "prompt learning"
    settings = model.config.get_text_config(decoder=True)
    if {model.config.model_type, settings.model_type} & PADDED_TYPES:
        return None
    if not takes(model, "position_ids"):
        return "its forward takes no position_ids"
    kinds = _layer_kinds(settings)
    if kinds - LAYERS:
        return f"layers of kind {', '.join(sorted(kinds - LAYERS))}"
    return None


def is_prompt_learning(model: PreTrainedModel) -> bool:
    """Whether the adapter is virtual tokens in front of the prompt."""
    peft = getattr(model, "active_peft_config", None)
    return peft is not None and bool(peft.is_prompt_learning)


def _layer_kinds(settings: Any) -> set[str]:
    return set(getattr(settings, "layer_types", None) or ["full_attention"])


def takes(model: PreTrainedModel, name: str) -> bool:
    """Whether the forward of the model itself, below an adapter's wrapper, takes ``name``."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return name in inspect.signature(base.forward).parameters
