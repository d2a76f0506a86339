"""Cells on several devices, data-parallel or layer by layer: what there can be, what is refused.

What is let through is what `tests/backends/hf/training/test_spread.py` compares with a training on
one device. Everything else is refused before anything is loaded: a trainer takes almost any key
over several processes, and some of them then mean something else without a word.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import HarnessError
from harness.plan.backends import BACKENDS
from harness.plan.cell import Cell
from harness.suite.options import FULL, training_value

KEY = "devices"
DIED = "a process of the training died: "
"""How the reason of a cell begins of whose training processes one ended without a word."""
TRAINING = frozenset(
    {
        KEY, "engine", "loss_on", "logging_steps", "max_length", "num_train_epochs", "max_steps",
        "per_device_train_batch_size", "gradient_accumulation_steps", "auto_find_batch_size",
        "train_sampling_strategy", "gradient_checkpointing", "activation_checkpointing", "bf16",
        "tf32",
        "optim", "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon",
        "max_grad_norm", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio",
        "loraplus_lr_ratio",
    }
)  # fmt: skip
"""Training keys that mean the same over several devices."""
UNEVEN = 1.2
"""How much more than an even part a card may need that holds some of a model's layers: the
embeddings, logits and the larger half of an odd number of layers lie on one of them."""
VALUES = {
    "optim": ("adamw_torch", "adamw_torch_fused"),
    "train_sampling_strategy": ("random", "sequential"),
}
"""The values of some of them that were compared."""
LORA = frozenset(
    {
        "peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "bias",
        "use_rslora", "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern",
        "alpha_pattern", "fan_in_fan_out",
    }
)  # fmt: skip
"""Fields of `LoraConfig` that were compared, or choose among layers alone."""


def devices_of(cell: Cell) -> int:
    """How many devices train ``cell``; 1 where nothing is trained here."""
    return int(cell.training.get(KEY, 1))


def gpus_of(cell: Cell) -> int:
    """Over how many GPUs the layers of the model of ``cell`` are laid; 1 for most."""
    return cell.model.requires.gpus


def cards_of(cell: Cell) -> int:
    """How many GPUs ``cell`` has to itself while it runs."""
    return max(devices_of(cell), gpus_of(cell))


def on_each_gib(needed: float, gpus: int) -> float:
    """What each of ``gpus`` cards needs of the ``needed`` GiB of a model that lies on them."""
    return needed if gpus == 1 else UNEVEN * needed / gpus


def rows_a_step(cell: Cell) -> int:
    """How many rows a step of the training of ``cell`` learns from, on all of its devices."""
    size = int(training_value(cell.training, "per_device_train_batch_size"))
    accumulated = int(training_value(cell.training, "gradient_accumulation_steps"))
    return devices_of(cell) * size * accumulated


def check_split(cell: Cell, where: str) -> None:
    """Refuse ``cell`` if its model is to lie on several GPUs and that was not compared.

    Raises:
        HarnessError: so it is.
    """
    if gpus_of(cell) > 1 and (reason := _split_refusal(cell)):
        text = f"{cell.model.name}, {cell.adapter}: requires.gpus: {gpus_of(cell)}: {reason}"
        hint = "Take it out of the model's card, or run these cells on one card."
        raise HarnessError(text, where=where, hint=hint)


def with_devices(cell: Cell, where: str) -> Cell:
    """``cell`` with `devices` where it trains on several; without the key where one does all.

    `devices: 1` is what a cell without the key does, so both have one fingerprint.

    Raises:
        HarnessError: a setting of ``cell`` was not compared over several devices.
    """
    if KEY not in cell.training:
        return cell
    if devices_of(cell) == 1 or not cell.is_trained or "source" in cell.adapter_config:
        rest = {key: value for key, value in cell.training.items() if key != KEY}
        return replace(cell, training=rest)
    if reason := _refusal(cell):
        text = f"{cell.model.name}, {cell.adapter}: training.devices: {devices_of(cell)}: {reason}"
        hint = "Take it out for cells that train on several devices, or train them on one."
        raise HarnessError(text, where=where, hint=hint)
    return cell


def _split_refusal(cell: Cell) -> str | None:
    """Why the model of ``cell`` may not lie on several GPUs; None if it may."""
    if cell.backend != "hf":
        return f'the backend "{cell.backend}" knows one device'
    if cell.model.is_served:
        return "the server decides where its model lies"
    if cell.model.weights == "random":
        return "a model of random weights is measured on one device"
    if cell.task.answered_by == "head":
        return "a classification head was not compared over several devices"
    if cell.is_baseline:
        return _quantization_refusal(cell)
    if devices_of(cell) > 1:
        return "training.devices trains a copy of the model on each device"
    if cell.adapter_config.get("peft_type") == FULL or cell.serve != "attached":
        return "only LoRA adapters that stay attached were compared"
    return _training_refusal(cell) or _adapter_refusal(cell)


def _refusal(cell: Cell) -> str | None:
    """Why ``cell`` may not train on several devices; None if it may."""
    trainer = BACKENDS.get(cell.backend).trained_by
    if trainer != "hf":
        return f'the backend "{trainer}" trains on one device'
    if cell.model.weights == "random":
        return "a model of random weights is measured on one device"
    return _training_refusal(cell) or _adapter_refusal(cell)


def _training_refusal(cell: Cell) -> str | None:
    unknown = sorted(
        key for key, value in cell.training.items() if key not in TRAINING and value is not None
    )
    if cell.training.get("save_strategy") == "no":
        unknown = [key for key in unknown if not key.startswith("save_")]
    if any(key.startswith("save_") for key in unknown):
        return "a training over several devices writes no checkpoints yet (save_strategy)"
    if unknown:
        return f"{', '.join(unknown)}: not compared over several devices"
    for key, values in VALUES.items():
        value = cell.training.get(key, values[0])
        if value not in values:
            return f"{key} {value}: not compared over several devices"
    return None


def _quantization_refusal(cell: Cell) -> str | None:
    bits = cell.quantization_config
    if bits and not bits.get("load_in_4bit"):
        return f"quantization {cell.quantization}: not compared over several devices"
    return None


def _adapter_refusal(cell: Cell) -> str | None:
    if reason := _quantization_refusal(cell):
        return reason
    config = cell.adapter_config
    kind = config.get("peft_type", "lora")
    if kind == FULL:
        return None
    if kind != "lora":
        return f"peft_type {kind}: not compared over several devices"
    unknown = sorted(config.keys() - LORA)
    if unknown:
        return f"{', '.join(unknown)} of the adapter: not compared over several devices"
    init = config.get("init_lora_weights", True)
    if init not in (True, False, "gaussian"):
        return f"init_lora_weights {init}: not compared over several devices"
    return None
