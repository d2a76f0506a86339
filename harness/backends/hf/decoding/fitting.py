"""How many rows of a batch fit in the device's free memory."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

MEMORY_SHARE = 0.6
"""Share of the free device memory that a batch may plan for.

The rest covers what the estimate leaves out, such as workspaces and fragmentation. If memory still
runs out, the batch is halved.
"""


def fitting_batch(model: PreTrainedModel, length: int, wanted: int) -> int:
    """``wanted`` rows, or the fewer whose cache and logits fit in the device's free memory."""
    if model.device.type != "cuda":
        return wanted
    return max(1, min(wanted, int(MEMORY_SHARE * free_bytes() / row_bytes(model, length))))


def row_bytes(model: PreTrainedModel, length: int) -> int:
    """What a row of ``length`` tokens needs, generously: cache, logits and activations."""
    config = model.config.get_text_config(decoder=True)
    row = 2 * _cache_bytes(config) * length + 8 * int(config.vocab_size)
    return row + 64 * length * int(config.hidden_size)


def free_bytes() -> int:
    """What the device has free, and what PyTorch keeps of it without using it."""
    free, _ = torch.cuda.mem_get_info()
    return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())


def _cache_bytes(config: Any) -> int:
    """Bytes of a token's keys and values in 16 bits; of full heads where they are not declared.

    Configurations whose layers differ raise an error of their own class when such a number is
    read (Gemma 4), in some versions a `RuntimeError`: it is only an estimate, so any of them
    means full heads.
    """
    try:
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(4 * config.num_hidden_layers * heads * size)
    except Exception:
        return int(4 * config.num_hidden_layers * config.hidden_size)
