"""Quantization as it is asked for and as it was loaded: a label must be true.

The axis says how weights are to be packed; a checkpoint may be packed already, or have layers that
the packer does not know (fused experts). Both are compared after loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, BitsAndBytesConfig, PreTrainedModel
from transformers.quantizers.auto import AutoQuantizationConfig
from transformers.utils import quantization_config

from harness.backends.bits_and_bytes import HEADS, config_arguments
from harness.backends.hf.models.checkpoint import from_hub
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.suite.model_card import ModelCard
from harness.suite.parts import Options

ENOUGH = 0.9
"""With a smaller share of quantized weights in the blocks, the row gets a warning."""
BITS_AND_BYTES = "bitsandbytes"


def quantization_arguments(cell: Cell, dtype: torch.dtype | str) -> Options:
    """Return the arguments of `from_pretrained` that quantize as ``cell`` says.

    Raises:
        HarnessError: the checkpoint is quantized already, and not as ``cell`` says.
    """
    if cell.model.gguf_file:
        return unpacked_gguf()
    stored = stored_quantization(cell.model)
    if stored is not None:
        _check_stored(stored, cell)
        return {}  # the checkpoint's own settings hold
    if not cell.quantization_config:
        return {}
    return {"quantization_config": _config(cell.quantization_config, dtype)}


def unpacked_gguf() -> Options:
    """Return the arguments of `from_pretrained` that unpack a GGUF file's weights.

    Newer versions of transformers leave them packed where the package `kernels` has a kernel for
    the device: such a model cannot be trained, and would be measured as something else.
    """
    config = getattr(quantization_config, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


def stored_quantization(card: ModelCard) -> Mapping[str, Any] | None:
    """Return the quantization settings in ``card``'s checkpoint; None if its weights are plain."""
    if card.gguf_file:
        return None  # transformers unpacks it while loading
    config = from_hub(AutoConfig.from_pretrained, card)
    for part in (config, config.get_text_config()):
        stored = getattr(part, "quantization_config", None)
        if stored:
            return stored if isinstance(stored, Mapping) else dict(stored.to_dict())
    return None


def method_of(config: Mapping[str, Any]) -> str:
    """Return how ``config`` quantizes: `gptq`, …; for bitsandbytes with the type of its bits."""
    method = str(config.get("quant_method", BITS_AND_BYTES))
    if method != BITS_AND_BYTES:
        return method
    if config.get("load_in_8bit"):
        return f"{BITS_AND_BYTES} int8"
    return f"{BITS_AND_BYTES} {config.get('bnb_4bit_quant_type', 'fp4')}"


def _check_stored(stored: Mapping[str, Any], cell: Cell) -> None:
    here = method_of(stored)
    asked = method_of(cell.quantization_config) if cell.quantization_config else "none"
    if here == asked:
        return
    if here.startswith(BITS_AND_BYTES):
        way = f"Write `quantization: [{here.split()[1]}]` for this model."
    else:
        way = f"Write `quantization: [{{name: {here}, config: {{quant_method: {here}}}}}]` for it."
    raise HarnessError(
        f'model "{cell.model.name}" is stored in {here}: the label "{cell.quantization}" would be'
        " false",
        hint=way,
    )


def _config(options: Mapping[str, Any], dtype: torch.dtype | str) -> Any:
    if options.get("quant_method", BITS_AND_BYTES) != BITS_AND_BYTES:
        try:
            return AutoQuantizationConfig.from_dict(dict(options))
        except (ValueError, TypeError, ImportError) as error:
            raise HarnessError(f"quantization {options['quant_method']}: {error}") from error
    compute_dtype = dtype if isinstance(dtype, torch.dtype) else None
    return BitsAndBytesConfig(**config_arguments(options, compute_dtype))


def quantized_share(model: PreTrainedModel) -> float:
    """Return the share of the blocks' weights that is packed: embeddings and head do not count."""
    outside = {id(model.get_input_embeddings())}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    outside.add(id(head))
    packed = plain = 0
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if id(module) in outside or "lora_" in name or last in HEADS:
            continue
        if type(module).__module__.startswith("peft.") or isinstance(module, torch.nn.Embedding):
            continue  # a wrapper: its base layer comes by itself
        if _is_packed(module):
            packed += int(module.in_features) * int(module.out_features)
        else:
            own = module.parameters(recurse=False)
            plain += sum(p.numel() for p in own if p.dim() >= 2)
    return packed / (packed + plain) if packed else 0.0


def _is_packed(module: torch.nn.Module) -> bool:
    """Whether it is a linear layer whose weight is no plain tensor of 16 or 32 bits."""
    if not hasattr(module, "in_features") or not hasattr(module, "out_features"):
        return False
    weight: Any = getattr(module, "weight", None)
    if type(weight) is not torch.nn.Parameter:
        return True  # several packed tensors, or one of a class of its own
    return not weight.is_floating_point() or weight.element_size() < 2


def check_share(model: PreTrainedModel, cell: Cell) -> list[str]:
    """Compare what was packed with what ``cell`` says; return what its row must say.

    Raises:
        HarnessError: ``cell`` is quantized and no layer of ``model`` is.
    """
    if cell.model.gguf_file:
        return [f"{cell.model.gguf_file} was unpacked: memory and speed are those of plain weights"]
    if not cell.quantization_config:
        return []
    share = quantized_share(model)
    if share == 0.0:
        raise HarnessError(
            f'quantization "{cell.quantization}": no layer of {cell.model.name} was quantized',
            hint="The quantizer does not know its kind of layers, or all of them are skipped.",
        )
    if share < ENOUGH:
        text = f"only {share:.0%} of the blocks' weights are quantized"
        return [f'"{cell.quantization}": {text}']
    return []
