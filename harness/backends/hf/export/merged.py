"""A cell's adapter merged into plain weights, and saved as a folder that any loader reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.models.adapters import attach_adapter
from harness.backends.hf.models.checkpoint import from_hub
from harness.backends.hf.models.loading import load_model, load_saved, load_tokenizer
from harness.backends.hf.models.quantization import quantized_share
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.suite.options import FULL

Base = Literal["trained", "original"]
"""What a quantized cell's adapter is merged into: `trained`, the weights that it was trained on,
written out in 16 bits; `original`, the checkpoint's own weights, which it has never seen."""


@dataclass(frozen=True)
class Merged:
    """A model without adapter and quantization."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    """As the checkpoint has it, without the padding token that training may need."""
    notes: tuple[str, ...]
    """What was done to the weights."""


def merge(cell: Cell, adapter: Path, *, base: Base = "trained", dtype: str | None = None) -> Merged:
    """The model that ``cell`` serves, its adapter added into plain weights.

    The sum is formed in float32 and rounded once: added in bfloat16, a small update is lost where
    it is below the last bit of the weight.

    Args:
        cell: The cell; of a baseline the model itself.
        adapter: The folder of its adapter, or of its whole model.
        base: What the adapter of a quantized cell is merged into.
        dtype: Of the merged weights; default: the dtype that the cell was loaded in.

    Raises:
        HarnessError: the adapter's method cannot be merged, or the quantization not be undone.
    """
    tokenizer = load_tokenizer(cell.model)
    labels = cell.task.labels if cell.task.answered_by == "head" else ()
    notes: list[str] = []
    if cell.adapter_config.get("peft_type") == FULL:
        model = load_saved(adapter, cell, tokenizer, labels)
    else:
        original = base == "original" or not cell.quantization_config
        model = load_model(
            replace(cell, quantization_config={}) if original else cell, tokenizer, labels=labels
        )
        loaded = model.dtype
        if not original:
            model = _dequantized(model, cell)
            notes.append(
                f"the {cell.quantization} weights that the adapter was trained on are written out"
                " as plain ones, so the file is as large as the unquantized model"
            )
        elif cell.quantization_config:
            notes.append(
                f"merged into the original weights: the adapter was trained on {cell.quantization}"
                " ones, so answers change"
            )
        if not cell.is_baseline:
            model = _added(model, adapter, cell)
        _round(model, loaded)
    if dtype is not None:
        _round(model, getattr(torch, dtype))
    model.config.dtype = model.dtype
    own = from_hub(AutoTokenizer.from_pretrained, cell.model)
    return Merged(model.eval(), own, tuple(notes))


def _round(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Round the weights to ``dtype``, and not the rotary frequencies.

    `model.to` would round those too, and no loader does: positions would turn by other angles.
    """
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)


def _dequantized(model: PreTrainedModel, cell: Cell) -> PreTrainedModel:
    """``model`` with every packed layer as a plain one, whose values are the packed ones'."""
    try:
        plain: PreTrainedModel = model.dequantize(dtype=torch.float32)
    except (NotImplementedError, ValueError, AttributeError, ImportError) as error:
        what = f"{cell.quantization} weights cannot be written out: {_first_line(error)}"
        hint = "Merge into the original weights, `--base original`, and look at the difference."
        raise HarnessError(what, hint=hint) from None
    if quantized_share(plain):
        raise HarnessError(f"some {cell.quantization} layers stayed packed: a fault of the library")
    return plain


def _added(model: PreTrainedModel, adapter: Path, cell: Cell) -> PreTrainedModel:
    """``model`` in float32 with the adapter in ``adapter`` added."""
    adapted = attach_adapter(model.float(), adapter)
    config = adapted.active_peft_config
    if config.is_prompt_learning:
        raise _cannot_merge(cell, "it puts virtual tokens before the prompt")
    try:
        # a NaN in the adapter would spoil whole layers, silently
        merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    except (NotImplementedError, AttributeError, ValueError, TypeError) as error:
        raise _cannot_merge(cell, _first_line(error)) from None
    return merged


def _cannot_merge(cell: Cell, why: str) -> HarnessError:
    method = cell.adapter_config.get("peft_type", "adapter")
    return HarnessError(
        f"{cell.adapter} ({method}) cannot be merged: {why}",
        hint="Share the adapter as it is: `harness push`.",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def write_merged(merged: Merged, folder: Path) -> None:
    """Write weights (safetensors), configs and tokenizer to ``folder``."""
    merged.model.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)
