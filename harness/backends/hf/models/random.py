"""Architectures built from their configuration: on the meta device to count, or at random.

Random weights say nothing of quality; memory and speed do not depend on the values (early ends of
answers apart, which fixed lengths rule out), so they are measured for real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    set_seed,
)
from transformers.quantizers import AutoHfQuantizer

from harness.backends.bits_and_bytes import HEADS
from harness.backends.hf.models.adapters import add_peft
from harness.backends.hf.models.loading import census
from harness.errors import HarnessError
from harness.plan.architecture import architecture_of, model_bytes, shape_of
from harness.plan.cell import Cell
from harness.suite.model_card import ModelCard
from harness.suite.schema import QUANTIZATIONS, Options

SCALE = 0.02
"""Standard deviation of random weights: the usual initializer range."""


def meta_model(architecture: Mapping[str, Any]) -> Any:
    """The model of ``architecture`` without storage.

    Raises:
        HarnessError: transformers does not know its `model_type`.
    """
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(_config(architecture))


def counted(architecture: Mapping[str, Any], adapter: Options | None) -> dict[str, Any]:
    """The census of the model, on the meta device, under ``adapter`` if there is one."""
    model = meta_model(architecture)
    if adapter is not None:
        with torch.device("meta"):
            model = add_peft(model, adapter, classification=False, low_memory=True)
    return census(model)


def described(card: ModelCard, adapter: Options) -> dict[str, int | float]:
    """Parameters, GiB of the weights under each quantization, and ``adapter``'s parameters.

    Raises:
        HarnessError: the card holds no architecture, or the adapter does not fit it.
    """
    architecture = architecture_of(card)
    if architecture is None:
        hint = "Write `architecture:` in the card: the numbers of its config.json."
        raise HarnessError(f'model "{card.name}" has no architecture', hint=hint)
    try:
        trained = counted(architecture, adapter)
    except (ValueError, TypeError, KeyError) as error:
        raise HarnessError(f"{adapter['peft_type']}: {error}") from None
    total = int(trained["total_params"]) - int(trained["trainable_params"])
    found: dict[str, int | float] = {"parameters": total}
    shape = shape_of(architecture)
    if shape is not None:
        found["embedding_parameters"] = shape.embedding * (1 if shape.tied else 2)
        for name, options in QUANTIZATIONS.items():
            label = "weights_16bit_gib" if name == "none" else f"weights_{name}_gib"
            found[label] = model_bytes(shape, options, "bfloat16") / 1024**3
    found["trainable_params"] = int(trained["trainable_params"])
    found["trainable_percent"] = 100 * trained["trainable_params"] / trained["total_params"]
    return found


def random_model(cell: Cell, device: torch.device) -> Any:
    """The architecture of ``cell`` with random weights on ``device``, quantized as it says.

    Layers are made one at a time and packed at once, so that the peak of loading is that of
    loading a checkpoint.
    """
    set_seed(0)
    dtype = _dtype(cell.model.dtype)
    config = _config(cell.model.architecture or {})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    packed = _quantized_layers(model, cell.quantization_config, dtype)
    head = model.get_output_embeddings() if config.tie_word_embeddings else None
    for name, module in list(model.named_modules()):
        if module is head:
            continue  # it is the embedding
        if name in packed:
            layer = packed[name](module, device)
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], layer)
        else:
            _materialize(module, device, dtype)
    model.tie_weights()
    _restore_buffers(model, config, device)
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=1)
    _mark(model, cell.quantization_config)
    return model.eval()


def _config(architecture: Mapping[str, Any]) -> Any:
    options = dict(architecture)
    kind = options.pop("model_type", None)
    try:
        return AutoConfig.for_model(kind, **options)
    except (ValueError, KeyError) as error:
        raise HarnessError(f'unknown model_type "{kind}": {error}') from None


def _dtype(name: str) -> torch.dtype:
    dtype: torch.dtype = torch.bfloat16 if name == "auto" else getattr(torch, name)
    return dtype


def _materialize(module: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Random values for the module's own parameters; norms are ones."""
    for key, parameter in list(module.named_parameters(recurse=False)):
        value = torch.empty(parameter.shape, dtype=dtype, device=device)
        value.fill_(1.0) if parameter.dim() == 1 and key == "weight" else value.normal_(0, SCALE)
        module.register_parameter(key, torch.nn.Parameter(value, requires_grad=False))


def _restore_buffers(model: PreTrainedModel, config: Any, device: torch.device) -> None:
    """Buffers that a constructor computes (rotary frequencies) made again off the meta device."""
    for name, module in list(model.named_modules()):
        if any(buffer.is_meta for buffer in module.buffers(recurse=False)):
            parent = model.get_submodule(name.rpartition(".")[0])
            with torch.device(device):
                setattr(parent, name.rpartition(".")[2], type(module)(config=config))


def _quantized_layers(
    model: PreTrainedModel, options: Options, dtype: torch.dtype
) -> dict[str, Any]:
    """Name of a linear layer → what makes its packed twin; empty without quantization."""
    if not options:
        return {}
    make = _four_bit if options.get("load_in_4bit") else _eight_bit
    return {
        name: lambda layer, device: make(layer, device, options, dtype)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] not in HEADS
    }


def _weights(layer: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    shape = (layer.out_features, layer.in_features)
    return torch.empty(shape, dtype=dtype, device=device).normal_(0, SCALE)


def _four_bit(
    layer: torch.nn.Module, device: torch.device, options: Options, dtype: torch.dtype
) -> Any:
    import bitsandbytes as bnb

    compute = options.get("bnb_4bit_compute_dtype")
    kind = options.get("bnb_4bit_quant_type", "fp4")
    nested = options.get("bnb_4bit_use_double_quant", False)
    with torch.device("meta"):
        packed = bnb.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=layer.bias is not None,
            compute_dtype=getattr(torch, compute) if compute else dtype,
            compress_statistics=nested, quant_type=kind,
        )  # fmt: skip
    packed.weight = bnb.nn.Params4bit(
        _weights(layer, device, dtype),
        requires_grad=False, quant_type=kind, compress_statistics=nested, module=packed,
    ).to(device)  # fmt: skip
    _bias(packed, layer, device, dtype)
    return packed.requires_grad_(False)


def _eight_bit(
    layer: torch.nn.Module, device: torch.device, options: Options, dtype: torch.dtype
) -> Any:
    import bitsandbytes as bnb

    with torch.device("meta"):
        packed = bnb.nn.Linear8bitLt(
            layer.in_features, layer.out_features, bias=layer.bias is not None,
            has_fp16_weights=False, threshold=options.get("llm_int8_threshold", 6.0),
        )  # fmt: skip
    packed.weight = bnb.nn.Int8Params(
        _weights(layer, device, torch.float16).cpu(),  # it is packed on its way to the device
        requires_grad=False, has_fp16_weights=False,
    ).to(device)  # fmt: skip
    _bias(packed, layer, device, dtype)
    return packed.requires_grad_(False)


def _bias(packed: Any, layer: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    if layer.bias is not None:
        value = torch.zeros(layer.out_features, dtype=dtype, device=device)
        packed.bias = torch.nn.Parameter(value, requires_grad=False)


def _mark(model: PreTrainedModel, options: Options) -> None:
    """The attributes by which PEFT and trainers know a quantized model."""
    if options:
        model.hf_quantizer = AutoHfQuantizer.from_config(BitsAndBytesConfig(**options))
        model.quantization_method = model.hf_quantizer.quantization_config.quant_method
        model.is_quantized = True
        model.is_loaded_in_4bit = bool(options.get("load_in_4bit"))
        model.is_loaded_in_8bit = bool(options.get("load_in_8bit"))
