"""Configurations of tiny models of several families, for tests that build them with random weights."""

from transformers import (
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
GPT2_SIZES = {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
NO_DROPOUT = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
"""Of GPT-2, which drops out by itself."""
CONFIGS = {
    "gemma3": (Gemma3TextConfig, SIZES | {"head_dim": 8}),
    "gpt2": (GPT2Config, GPT2_SIZES),
    "llama": (LlamaConfig, SIZES),
    "mistral": (MistralConfig, SIZES),
    "qwen2": (Qwen2Config, SIZES | {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, SIZES | {"head_dim": 8}),
}


def tiny(family, **keys):
    """The configuration of a tiny model of ``family`` with ``keys`` of its own."""
    kind, sizes = CONFIGS[family]
    return kind(**{**sizes, **keys})
