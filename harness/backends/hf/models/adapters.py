"""Adapters: added, attached, and compared with the base, labels and template they were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType
from safetensors import safe_open
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.errors import HarnessError
from harness.plan.adapter_source import RECORD, base_notes, base_of
from harness.plan.cell import Cell
from harness.results.paths import read_json, write_json
from harness.suite.schema import Options

WEIGHTS = "adapter_model.safetensors"
SHOWN = 5


def add_peft(
    model: PreTrainedModel, adapter: Options, *, classification: bool, low_memory: bool = False
) -> Any:
    """``model`` under the PEFT config in ``adapter``: its `peft_type` and keys.

    Args:
        model: The base model.
        adapter: `peft_type` and the keys of its config.
        classification: Whether the model has a classification head.
        low_memory: Leave the adapter's weights on the meta device.

    Raises:
        ValueError: PEFT refuses the config, or finds a part of the `target_modules` only.
    """
    config = dict(adapter)
    kind = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(config.pop("peft_type", "lora").upper())]
    task = TaskType.SEQ_CLS if classification else TaskType.CAUSAL_LM
    names = [name for name, _ in model.named_modules()]
    _check_targets(names, config.get("target_modules"))
    return get_peft_model(model, kind(task_type=task, **config), low_cpu_mem_usage=low_memory)


def _check_targets(names: Iterable[str], wanted: Any) -> None:
    """PEFT refuses `target_modules` of which none is there; a part would train less, silently."""
    if not isinstance(wanted, list | tuple | set):
        return  # `all-linear`, or one pattern
    ends = list(names)
    lost = [w for w in wanted if not any(n == w or n.endswith(f".{w}") for n in ends)]
    if lost and len(lost) < len(list(wanted)):
        raise ValueError(f"target_modules not in the model: {', '.join(sorted(lost))}")


def attach_adapter(model: PreTrainedModel, folder: Path) -> Any:
    """``model`` with the adapter saved in ``folder``, for inference.

    Raises:
        HarnessError: its weights are not exactly those that the model under it needs.
    """
    if not (folder / WEIGHTS).is_file():  # PEFT would read a pickle instead, which can run code
        hint = "Save it again with PEFT, which writes safetensors."
        raise HarnessError(f"no {WEIGHTS}", where=str(folder), hint=hint)
    try:
        adapted = PeftModel.from_pretrained(model, folder, is_trainable=False).eval()
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        text = " ".join(str(error).split())[:300]
        hint = f"Its config names the base {base_of(folder)}."
        raise HarnessError(f"the adapter in {folder} does not fit: {text}", hint=hint) from error
    _check_weights(adapted, folder)
    return adapted


def _check_weights(adapted: PreTrainedModel, folder: Path) -> None:
    needed = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
    extra = {name for name in stored - needed if ".embed_tokens." not in name}
    for what, names in (("lacks", needed - stored), ("has weights that the model lacks:", extra)):
        if names:
            some = ", ".join(sorted(names)[:SHOWN])
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            hint = f"It was made for {base_of(folder)}: another base, or an unfinished file."
            raise HarnessError(f"the adapter in {folder} {what} {some}{more}", hint=hint)


def write_record(folder: Path, cell: Cell, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write beside the adapter in ``folder`` what it was made for."""
    write_json(folder / RECORD, _record(cell, tokenizer))


def _record(cell: Cell, tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    card = cell.model
    style = {"prompt": card.prompt, "system": card.system, "template": card.template}
    chat = tokenizer.chat_template if card.prompt in (None, "chat") else None
    return {
        "base_model": card.name if card.is_local else card.source,
        "labels": list(cell.task.labels) if cell.task.answered_by == "head" else [],
        "prompt": style,
        "chat_template": _hash(chat) if chat else None,
        "quantization": cell.quantization,
    }


def check_source(folder: Path, cell: Cell, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Compare an adapter from elsewhere with the suite; return warnings for its row.

    Raises:
        HarnessError: it was made for another base, other labels or another template.
    """
    path = folder / RECORD
    here = _record(cell, tokenizer)
    made = read_json(path) if path.is_file() else {}
    warnings = base_notes(folder, cell.model, cell.adapter)
    for key in ("labels", "prompt", "chat_template"):
        if key in made and made[key] != here[key]:
            raise HarnessError(
                f'adapter "{cell.adapter}" was trained with {key} {json.dumps(made[key])}; the'
                f" suite has {json.dumps(here[key])}",
                where=str(folder),
                hint="Set the model card and the data set as they were when it was trained.",
            )
    own = _own_template(folder)
    if not made and cell.model.prompt in (None, "chat") and own and own != tokenizer.chat_template:
        raise HarnessError(
            f'adapter "{cell.adapter}" has its own chat template, which differs from the base\'s',
            where=str(folder),
            hint="Point `source` of the model card at a folder with that tokenizer.",
        )
    if not made and here["labels"]:
        warnings.append(
            "the adapter does not record the order of its labels: make sure it is the suite's"
        )
    if "quantization" in made and made["quantization"] != cell.quantization:
        warnings.append(f"the adapter was trained on {made['quantization']} weights")
    return warnings


def _own_template(folder: Path) -> str | None:
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    path = folder / "tokenizer_config.json"
    template = read_json(path).get("chat_template") if path.is_file() else None
    return template if isinstance(template, str) else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
