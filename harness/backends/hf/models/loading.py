"""Base models, tokenizers and adapters from disk or the hub, and what they turned out to be."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import prepare_model_for_kbit_training
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from harness.backends.hf.chat_template import chat_template
from harness.backends.hf.models.adapters import add_peft, attach_adapter, check_source
from harness.backends.hf.models.checkpoint import from_hub, load_fitting
from harness.backends.hf.models.limits import check_end, usable_pad
from harness.backends.hf.models.placing import placing_of, use_device_of
from harness.backends.hf.models.quantization import (
    check_share,
    quantization_arguments,
    quantized_share,
)
from harness.backends.hf.stop_tokens import keep_stops, stop_tokens
from harness.errors import HarnessError, SkipCell
from harness.plan.cell import Cell
from harness.suite.engine_keys import is_checkpointed
from harness.suite.model_card import ModelCard
from harness.suite.options import FULL
from harness.suite.parts import Options

PACK = 32
"""Outputs in a block of bitsandbytes' packed 4-bit CPU kernel (its `block_n`)."""


def load_tokenizer(card: ModelCard) -> Any:
    """``card``'s fast tokenizer, with a padding token.

    The labels of padding are set by length, never by token id, so a pad token that equals
    the end-of-text token does not hide it from the loss.
    """
    tokenizer = from_hub(AutoTokenizer.from_pretrained, _card_of_tokenizer(card))
    # heads are batched by the tokenizer, and positions count from the left: padding comes last
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    if card.prompt == "chat" and not tokenizer.chat_template:
        hint = "Set `prompt: plain`, `question-answer`, `alpaca` or `template` in the model card."
        raise HarnessError(f'model "{card.name}": its tokenizer has no chat template', hint=hint)
    return tokenizer


def _card_of_tokenizer(card: ModelCard) -> ModelCard:
    """``card``, without its GGUF file where a tokenizer lies beside that.

    A GGUF file names the rule by which text is split, and transformers knows some of the names. Of
    others it splits as GPT-2 does, so that digits, for one, become other tokens.
    """
    if card.gguf_file and card.is_local and (Path(card.source) / "tokenizer.json").is_file():
        return card.model_copy(update={"gguf_file": None})
    return card


def load_model(
    cell: Cell, tokenizer: PreTrainedTokenizerBase, *, labels: tuple[str, ...] = ()
) -> Any:
    """The frozen base model of ``cell`` on the device; with ``labels``, under a new linear head.

    Unset decoding fields of the checkpoint are dropped, so that decoding is the suite's alone.

    Raises:
        HarnessError: the checkpoint does not fit its architecture, or ``cell`` calls it by a
            quantization that it has not.
    """
    kwargs: Options = {
        "dtype": _dtype(cell.model),
        "use_safetensors": True,
        **placing_of(cell),
    }
    kwargs |= quantization_arguments(cell, kwargs["dtype"])
    if labels:
        kwargs["num_labels"] = len(labels)
        kwargs["id2label"] = dict(enumerate(labels))
        kwargs["label2id"] = {label: i for i, label in enumerate(labels)}
        set_seed(cell.seed or 0)
        load = AutoModelForSequenceClassification.from_pretrained
        model = load_fitting(load, cell.model, headed=True, **kwargs)
        usable_pad(model, tokenizer)
        model.config.pad_token_id = tokenizer.pad_token_id
    else:
        load = AutoModelForCausalLM.from_pretrained
        model = load_fitting(load, cell.model, headed=False, **kwargs)
        check_end(tokenizer, cell.model.name)
        usable_pad(model, tokenizer)
        stops = stop_tokens(tokenizer, model, _template_end(cell.model, tokenizer))
        keep_stops(model, stops)
        model.generation_config = GenerationConfig(
            pad_token_id=tokenizer.pad_token_id, eos_token_id=stops.ids or None
        )
    use_device_of(model)
    model.harness_notes = check_share(model, cell)
    _keep_odd_layers_unpacked(model)
    return model.eval()


def _template_end(card: ModelCard, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that ends a turn in the tokenizer's chat template, whatever style asks.

    An instruction-tuned model ends its answers so after other prompts too.
    """
    if not tokenizer.chat_template:
        return None
    try:
        return chat_template(card, tokenizer).end
    except HarnessError:
        if card.prompt in (None, "chat"):
            raise
        return None


def _keep_odd_layers_unpacked(model: PreTrainedModel) -> None:
    """Bitsandbytes' packed 4-bit CPU kernel takes layers of 32·n outputs only: others go without.

    `census` counts them as `unpacked_4bit_layers`.

    Raises:
        SkipCell: a layer's inputs are no multiple of the quantization block, on a CPU.
    """
    for name, module in model.named_modules():
        if type(module).__name__ != "Linear4bit" or torch.cuda.is_available():
            continue
        block = getattr(module.weight.quant_state, "blocksize", 1)
        if module.in_features % block:
            raise SkipCell(
                f"bitsandbytes quantizes to 4 bits on a CPU in blocks of {block} inputs, and"
                f" {name} has {module.in_features}; use int8, or skip it by"
                " `llm_int8_skip_modules`"
            )
        if module.out_features % PACK:
            module.support_avx512bf16_for_cpu = False


def add_adapter(model: PreTrainedModel, cell: Cell, *, classification: bool) -> Any:
    """``model`` with a fresh adapter, initialised from the cell's seed."""
    set_seed(cell.seed or 0)
    if cell.adapter_config.get("peft_type") == FULL:
        if cell.quantization_config:
            hint = "Exclude it: quantized weights cannot be trained."
            text = f'adapter "{cell.adapter}": full fine-tuning of {cell.quantization} weights'
            raise HarnessError(text, hint=hint)
        return model.requires_grad_(True)
    try:
        return add_peft(model, cell.adapter_config, classification=classification)
    except ValueError as error:
        modules = sorted(
            {name.rsplit(".", 1)[-1] for name, m in model.named_modules() if _linear(m)}
        )
        hint = f"Linear modules of {cell.model.name}: {', '.join(modules)}."
        raise HarnessError(f'adapter "{cell.adapter}": {error}', hint=hint) from error


def prepare_for_kbit(model: PreTrainedModel, cell: Cell) -> Any:
    """``model`` after PEFT's preparation: norms, embeddings and head are float32."""
    checkpointing = is_checkpointed(cell.training)
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)


def load_served(
    cell: Cell, tokenizer: PreTrainedTokenizerBase, adapter: Path, *, labels: tuple[str, ...] = ()
) -> Any:
    """What ``cell`` serves: the bare base, or it with ``adapter`` attached, merged or requantized.

    Merged: the adapter is added into the 16-bit (or unquantized) base. Requantized: that is saved
    and loaded again under the cell's quantization, which rounds the sum anew.
    """
    notes = check_source(adapter, cell, tokenizer) if "source" in cell.adapter_config else []
    model = _served(cell, tokenizer, adapter, labels)
    model.harness_notes = [*getattr(model, "harness_notes", []), *notes]
    return model


def _served(
    cell: Cell, tokenizer: PreTrainedTokenizerBase, adapter: Path, labels: tuple[str, ...]
) -> Any:
    if cell.adapter_config.get("peft_type") == FULL:
        return load_saved(adapter, cell, tokenizer, labels)
    if cell.is_baseline or cell.serve == "attached":
        model = load_model(cell, tokenizer, labels=labels)
        return model if cell.is_baseline else attach_adapter(model, adapter)
    wide = replace(cell, quantization_config={})
    merged = attach_adapter(load_model(wide, tokenizer, labels=labels), adapter)
    merged = merged.merge_and_unload()
    if cell.serve == "merged":
        return merged.eval()
    with tempfile.TemporaryDirectory() as folder:
        merged.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        del merged
        return load_saved(Path(folder), cell, tokenizer, labels)


def load_saved(
    folder: Path, cell: Cell, tokenizer: PreTrainedTokenizerBase, labels: tuple[str, ...]
) -> Any:
    """The model saved in ``folder`` as ``cell`` loads its own: in the same dtype too.

    Full fine-tuning trains and saves in float32; beside a bfloat16 base it would be served in
    twice the memory and with less rounding, which is no gain of training.
    """
    dtype: str = cell.model.dtype
    if dtype == "auto":
        stored = from_hub(AutoConfig.from_pretrained, cell.model).get_text_config().dtype
        dtype = _name(stored) if isinstance(stored, torch.dtype) else dtype
    changes = {"source": str(folder), "revision": None, "gguf_file": None, "dtype": dtype}
    card = cell.model.model_copy(update=changes)
    return load_model(replace(cell, model=card), tokenizer, labels=labels)


def census(model: PreTrainedModel) -> dict[str, Any]:
    """What was loaded: modules by class, parameters by dtype, trainable parameters."""
    linear = Counter(
        type(m).__name__ for n, m in model.named_modules() if _linear(m) and "lora_" not in n
    )
    dtypes: Counter[str] = Counter()
    for parameter in model.parameters():
        dtypes[_name(parameter.dtype)] += parameter.numel()
    trainable = [p for p in model.parameters() if p.requires_grad]
    compute = {_name(m.compute_dtype) for m in model.modules() if hasattr(m, "compute_dtype")}
    norms = {_name(p.dtype) for n, p in model.named_parameters() if "norm" in n.rpartition(".")[0]}
    adapter = {_name(p.dtype) for n, p in model.named_parameters() if "lora_" in n}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return {
        "linear_modules": dict(sorted(linear.items())),
        "compute_dtypes": sorted(compute),
        "norm_dtypes": sorted(norms),
        "head_dtype": _name(head.weight.dtype) if head is not None else None,
        "adapter_dtypes": sorted(adapter),
        "unpacked_4bit_layers": sum(
            type(m).__name__ == "Linear4bit" and bool(m.out_features % PACK)
            for m in model.modules()
        ),
        "stored_elements_by_dtype": dict(sorted(dtypes.items())),
        "trainable_params": sum(p.numel() for p in trainable),
        "trainable_dtypes": sorted({_name(p.dtype) for p in trainable}),
        "notes": list(getattr(model, "harness_notes", [])),
        "quantized_share": quantized_share(model),
        "total_params": model.num_parameters() if hasattr(model, "num_parameters") else None,
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _linear(module: torch.nn.Module) -> bool:
    """Whether it is a linear layer of the model itself: PEFT's wrappers bear the same names."""
    if type(module).__module__.startswith("peft."):
        return False
    return type(module).__name__ in {"Linear", "Linear4bit", "Linear8bitLt", "Conv1D"}


def _dtype(card: ModelCard) -> torch.dtype | str:
    if card.dtype == "auto":
        return "auto"
    dtype: torch.dtype = getattr(torch, card.dtype)
    return dtype
