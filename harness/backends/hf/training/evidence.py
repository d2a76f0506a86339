"""What the training engine knows to be right: allow-lists, never a guess.

The lists say what tests compare with `SFTTrainer` (`test_engine.py`, `test_every_architecture.py`;
`test_allow_list.py` fails where one is missing, in `tests/backends/hf/training`). Whatever
is not on them is trained by TRL, and the result says why. A new key of TRL, field of PEFT or
architecture is therefore slow until somebody has compared it, and never wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import torch
from peft import LoraConfig
from transformers import PreTrainedModel

from harness.backends.hf.decoding.evidence import takes
from harness.backends.hf.models.placing import split_reason
from harness.suite.engine_keys import VALUES, trl_keys

# Sorted, so that a diff shows which one came or went. Dense models alone: what a mixture of experts
# adds to its loss is computed over the whole batch, padding included.
_FLAT_TYPES = """
    apertus arcee cohere cohere2 cwm ernie4_5 exaone4 gemma gemma3_text glm glm4 gpt2 gpt_bigcode
    gpt_neox granite helium hunyuan_v1_dense hyperclovax internlm3 jais2 llama ministral ministral3
    mistral nanochat nemotron olmo olmo2 olmo3 opt persimmon phi phi3 qwen2 qwen3 seed_oss smollm3
    stablelm starcoder2
"""
FLAT_TYPES = frozenset(_FLAT_TYPES.split())
"""`model_type`s whose rows, laid end to end, give the logits that each has alone."""

LORA_FIELDS = frozenset(
    {
        "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "use_rslora",
        "use_dora", "bias", "lora_bias", "init_lora_weights", "layers_to_transform",
        "layers_pattern", "rank_pattern", "alpha_pattern", "fan_in_fan_out",
        # where it came from, which changes no number
        "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path",
        "revision", "inference_mode", "runtime_config",
    }
)  # fmt: skip
"""Fields of `LoraConfig` that work token by token, which is all that a flat batch asks of them."""
DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob", "attn_dropout")
"""What configs call the dropout of attention weights, which a variable-length kernel has not."""

LAYER_DROPS = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")
"""What configs call the share of steps in which a layer is left out."""


def trl_reason(model: PreTrainedModel, options: Mapping[str, Any], arguments: Any) -> str | None:
    """Return why TRL has to train ``model``; None if the engine may.

    Args:
        model: the model under its adapter.
        options: the training keys as the suite and the harness set them.
        arguments: the `SFTConfig` that they make.
    """
    return (
        split_reason(model)
        or keys_reason(options, arguments)
        or model_reason(model)
        or adapter_reason(model)
        or _together_reason(model, arguments)
    )


def keys_reason(options: Mapping[str, Any], arguments: Any) -> str | None:
    """Return which training keys the engine does not follow; None if it follows all."""
    # as the trainer's class has read them: with its defaults, and names instead of enumerations
    read = {key: getattr(arguments, key, None) for key in VALUES}
    named = {key: getattr(value, "value", value) for key, value in read.items()}
    reason = trl_keys({**options, **{k: str(v) for k, v in named.items() if v is not None}})
    if reason:
        return reason
    steps = arguments.logging_steps
    if steps < 1 or steps != int(steps):
        return "logging_steps that is a share of the training"
    if arguments.max_steps == 0:
        return "max_steps 0, which the trainers read in different ways"
    if arguments.fp16:
        return "fp16, which needs the loss to be scaled"
    return None


def adapter_reason(model: PreTrainedModel, also: Collection[str] = ()) -> str | None:
    """Return why the adapter of ``model`` is not one that the engine knows; None if it is.

    It may set `LORA_FIELDS`, and ``also`` these.
    """
    configs: Mapping[str, Any] = getattr(model, "peft_config", {})
    if len(configs) > 1:
        return "several adapters"
    for config in configs.values():
        if type(config) is not LoraConfig:
            return f"the adapter method {str(config.peft_type.value).lower()}"
        usual = LoraConfig()
        extra = [
            name
            for name, value in vars(config).items()
            if name not in LORA_FIELDS and name not in also and value != getattr(usual, name, None)
        ]
        if extra:
            return f"the adapter's {', '.join(sorted(extra))}"
    return None


def model_reason(model: PreTrainedModel, *, training: bool = True) -> str | None:
    """Return why rows of ``model`` may not be laid end to end; None if they may.

    Nothing is dropped out unless the model is ``training``.
    """
    if model.config.model_type not in FLAT_TYPES:
        return f"the architecture {model.config.model_type} is not among those compared"
    settings = model.config.get_text_config(decoder=True)
    dropouts = [name for name in DROPOUTS if getattr(settings, name, 0)]
    if dropouts and training:
        return f"dropout of attention weights ({', '.join(dropouts)})"
    if training and (reason := layers_reason(model)):
        return reason
    lost = [name for name in ("position_ids", "logits_to_keep") if not takes(model, name)]
    if lost:
        return f"its forward takes no {' and no '.join(lost)}"
    return weights_reason(model)


def layers_reason(model: PreTrainedModel) -> str | None:
    """Return why not every step of ``model`` runs the same layers; None if each does."""
    # the config as well as its text part, which leaves out what begins with `encoder_`
    configs = (model.config, model.config.get_text_config(decoder=True))
    # the host decides it in each pass: a captured step would leave out the same layers for ever
    found = [name for name in LAYER_DROPS if any(getattr(c, name, 0) for c in configs)]
    return f"dropout of whole layers ({', '.join(found)})" if found else None


def weights_reason(model: PreTrainedModel) -> str | None:
    """Return why weights of ``model`` are not of a kind that was compared; None if they are."""
    if model.dtype not in (torch.float32, torch.bfloat16):
        return f"weights in {str(model.dtype).removeprefix('torch.')}"
    if any(type(module).__name__ == "Linear8bitLt" for module in model.modules()):
        return "int8, whose outlier columns depend on the whole batch"
    if getattr(model, "is_quantized", False) and not _only_four_bits(model):
        return "a quantization other than bitsandbytes in 4 bits"
    return None


def _only_four_bits(model: PreTrainedModel) -> bool:
    method = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    return bool(getattr(method, "load_in_4bit", False))


def _together_reason(model: PreTrainedModel, arguments: Any) -> str | None:
    """What is known each by itself but not together."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    parameters = inspect.signature(base.forward).parameters.values()
    if arguments.gradient_accumulation_steps > 1 and not any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters
    ):
        # the trainer then averages over batches, not over tokens
        return "gradient accumulation of a model that takes no `num_items_in_batch`"
    optim = str(getattr(arguments.optim, "value", arguments.optim))
    if model.device.type == "cuda":
        # both gave the trainer's losses on an H100, and took longer than it
        if not arguments.bf16 and model.dtype is torch.float32:
            return "float32 on CUDA, where attention has no kernel for rows of different lengths"
        if not optim.startswith("adamw_torch"):
            return f"optim {optim} on CUDA, which cannot be captured"
    embedding = model.get_input_embeddings().weight
    if "8bit" in optim and embedding.requires_grad:
        return "an 8-bit optimizer over embeddings, which the trainer keeps in 32 bits"
    return None
