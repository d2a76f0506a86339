"""A merged model as a GGUF file, for the architectures whose file was read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.export.gguf_words import Words, words_of
from harness.backends.hf.export.merged import Merged
from harness.errors import HarnessError

GgufType = Literal["f32", "f16", "bf16", "q8_0", "q4_0"]
PLAIN: dict[torch.dtype, GgufType] = {
    torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"
}  # fmt: skip
"""The type that holds a dtype's values as they are."""


@dataclass(frozen=True)
class Architecture:
    """What one architecture needs in its file."""

    name: str
    """llama.cpp's name."""
    interleaved: bool
    """Whether llama.cpp rotates neighbouring pairs, so that query and key rows are reordered."""
    bias: frozenset[str]
    """Projections that have a bias; any other bias is refused."""


ARCHITECTURES = {
    "llama": Architecture("llama", interleaved=True, bias=frozenset()),
    "qwen2": Architecture("qwen2", interleaved=False, bias=frozenset({"q", "k", "v"})),
}
"""transformers' `model_type` → what is known of it. Each was read back and its logits compared, by
transformers and by llama.cpp itself; others are refused."""


def write_gguf(merged: Merged, path: Path, *, stored: GgufType, name: str) -> tuple[str, ...]:
    """Write ``merged`` to ``path``; return notes on what the file cannot hold.

    Raises:
        HarnessError: the architecture, a setting of it or the tokenizer is not known well enough.
    """
    import gguf

    model, tokenizer = merged.model, merged.tokenizer
    known = _architecture(model)
    words = words_of(tokenizer, model.config.vocab_size)
    writer = gguf.GGUFWriter(path, known.name)
    _write_settings(writer, model, stored, name)
    _write_words(writer, words, tokenizer, model)
    for tensor, array, kind in tensors(model, stored):
        writer.add_tensor(tensor, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return words.notes


def _architecture(model: PreTrainedModel) -> Architecture:
    config = model.config
    known = ARCHITECTURES.get(config.model_type)
    if known is None or not type(model).__name__.endswith("ForCausalLM"):
        raise HarnessError(
            f"a GGUF file of {type(model).__name__} ({config.model_type}) was never compared with"
            " its model",
            hint=f"Known: {', '.join(ARCHITECTURES)}, with a language head. Export `merged`, and"
            " convert it with llama.cpp's own convert_hf_to_gguf.py.",
        )
    rope = getattr(config, "rope_parameters", None) or {}
    odd = {
        "rope_type": rope.get("rope_type", "default") != "default",
        "partial_rotary_factor": rope.get("partial_rotary_factor", 1.0) != 1.0,
        "hidden_act": config.hidden_act != "silu",
        "attention_bias": getattr(config, "attention_bias", False) and known.name == "llama",
        "mlp_bias": getattr(config, "mlp_bias", False),
        "use_sliding_window": getattr(config, "use_sliding_window", False),
    }
    if wrong := [key for key, is_odd in odd.items() if is_odd]:
        raise HarnessError(
            f"{config.model_type} with another `{wrong[0]}` than usual was never compared",
            hint="Export `merged`, and convert it with llama.cpp's own convert_hf_to_gguf.py.",
        )
    return known


def _write_settings(writer: Any, model: PreTrainedModel, stored: GgufType, name: str) -> None:
    import gguf

    config = model.config
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    kinds = {"f32": "ALL_F32"}
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[kinds.get(stored, f"MOSTLY_{stored.upper()}")])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(config.vocab_size)


def _write_words(
    writer: Any, words: Words, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.kinds)
    writer.add_token_merges(words.merges)
    writer.add_add_bos_token(words.adds_bos)
    adders: dict[str, Callable[[int], None]] = {
        "bos": writer.add_bos_token_id, "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }  # fmt: skip
    for token, add in adders.items():
        number = getattr(tokenizer, f"{token}_token_id")
        if number is not None:
            add(number)
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else list(ends or ())
    for number, add in zip(ends, (writer.add_eos_token_id, writer.add_eot_token_id), strict=False):
        add(number)  # llama.cpp stops at both
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def tensors(model: PreTrainedModel, stored: GgufType) -> Iterator[tuple[str, Any, Any]]:
    """Each tensor's name in the file, its values, and ggml's type of them.

    Raises:
        HarnessError: a weight has no name in a file of the architecture.
    """
    import gguf

    known = ARCHITECTURES[model.config.model_type]
    arch = gguf.MODEL_ARCH[known.name.upper()]
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    tied = model.config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        is_bias = name.endswith(".bias")
        if there is None or (
            is_bias and name.split(".")[-2].removesuffix("_proj") not in known.bias
        ):
            raise HarnessError(f"the weight {name} has no place in a GGUF file of {known.name}")
        values = weight.detach().float().cpu()
        if known.interleaved and name.split(".")[-2] in ("q_proj", "k_proj"):
            values = _interleaved(values, model, query=name.split(".")[-2] == "q_proj")
        kind = _kind(values, stored)
        array = values.numpy()
        plain = kind == gguf.GGMLQuantizationType.F32
        yield there, array if plain else gguf.quants.quantize(array, kind), kind


def _kind(values: torch.Tensor, stored: GgufType) -> Any:
    """Norms and biases stay in float32, and rows that no block divides in 16 bits."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    if values.dim() == 1:
        return kinds.F32
    block, _ = gguf.GGML_QUANT_SIZES[kinds[stored.upper()]]
    return kinds[stored.upper()] if values.shape[-1] % block == 0 else kinds.F16


def _interleaved(values: torch.Tensor, model: PreTrainedModel, *, query: bool) -> torch.Tensor:
    """Rows of a query or key projection in the order that llama.cpp rotates.

    There a pair is two neighbours; transformers rotates the first half of a head with the second.
    """
    config = model.config
    heads = config.num_attention_heads if query else config.num_key_value_heads
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape).contiguous()
