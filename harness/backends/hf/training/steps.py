"""Which rows a step learns from and at which learning rate, as transformers' `Trainer` decides it.

The order of rows, the number of steps and the schedule come from the same classes and functions
that the trainer calls (accelerate's sampler, `get_scheduler`, `get_optimizer_cls_and_kwargs`), so
that a new release of theirs changes both engines alike; a test compares them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate.data_loader import SeedableRandomSampler
from transformers import PreTrainedModel, Trainer
from transformers.loss.loss_utils import LOSS_MAPPING, ForCausalLMLoss
from transformers.optimization import get_scheduler

from harness.backends.hf.encoding import IGNORED

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One step of the optimizer."""

    batches: tuple[tuple[int, ...], ...]
    """The rows of each batch whose gradients are summed."""
    epoch: float
    """How far training has come after it, in passes over the data."""
    opens_epoch: bool
    """Whether a pass over the data begins with it."""


def kept_rows(rows: Sequence[Mapping[str, Any]], arguments: Any) -> list[Mapping[str, Any]]:
    """``rows`` cut at `max_length`, without those that then have nothing to learn.

    `SFTTrainer` drops these when it cuts, that is unless `max_length` is null.
    """
    limit = arguments.max_length
    if limit is None:
        return list(rows)
    cut = [{key: row[key][:limit] for key in ("input_ids", "labels")} for row in rows]
    return [row for row in cut if any(label != IGNORED for label in row["labels"])]


def steps_of(count: int, arguments: Any) -> list[Step]:
    """The steps over ``count`` rows, in order."""
    size = arguments.per_device_train_batch_size
    each = arguments.gradient_accumulation_steps
    batches = math.ceil(count / size)
    updates = math.ceil(batches / each)
    last = arguments.max_steps
    if last <= 0:
        last = math.ceil(arguments.num_train_epochs * updates)
    steps: list[Step] = []
    for epoch in range(math.ceil(last / updates)):
        done = 0
        for group in _chunks(_chunks(list(_order(count, epoch, arguments)), size), each):
            done += len(group)
            steps.append(Step(group, epoch + done / batches, opens_epoch=done == len(group)))
    return steps[:last]


def _chunks(items: Sequence[T], size: int) -> list[tuple[T, ...]]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def _order(count: int, epoch: int, arguments: Any) -> Iterator[int]:
    if str(getattr(arguments, "train_sampling_strategy", "random")) == "sequential":
        return iter(range(count))
    seed = arguments.seed if arguments.data_seed is None else arguments.data_seed
    sampler = SeedableRandomSampler(range(count), data_seed=seed)
    sampler.set_epoch(epoch)
    return iter(sampler)


def counts_first_label(model: PreTrainedModel) -> bool:
    """Whether the trainer counts a row's first label among those that it divides a loss by.

    Nothing predicts that token. Newer versions of transformers leave it out, but only for classes
    of which they know that their loss shifts the labels: not for `GPT2LMHeadModel`.
    """
    if "_loss_shifts_labels" not in Trainer.__init__.__code__.co_names:
        return True
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return LOSS_MAPPING.get(getattr(base, "loss_type", None)) is not ForCausalLMLoss


def optimizer_of(
    model: PreTrainedModel, arguments: Any, ratio: float | None, **more: Any
) -> torch.optim.Optimizer:
    """The suite's optimizer over the trained weights, with the trainer's groups.

    Args:
        model: the model under its adapter.
        arguments: what the trainer would be given.
        ratio: LoRA+'s ratio of the two learning rates, if the suite has one.
        more: further options of the optimizer's class, such as `capturable`.
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    options = {**options, **more}
    if ratio:
        from peft.optimizers import create_loraplus_optimizer

        found: torch.optim.Optimizer = create_loraplus_optimizer(
            model, kind, loraplus_lr_ratio=ratio, **options
        )
        return found
    decayed = set(Trainer.get_decay_parameter_names(None, model))
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if n in decayed], "weight_decay": arguments.weight_decay},
        {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer = kind(groups, **options)
    return optimizer


def rates_of(arguments: Any, peaks: Sequence[float], steps: int) -> list[tuple[float, ...]]:
    """The learning rates at each of ``steps`` steps of groups that begin with ``peaks``."""
    # the schedule runs on a stand-in: those of a captured optimizer are tensors on the device
    groups = [{"params": [torch.zeros(1)], "lr": peak} for peak in peaks]
    # `polynomial` reads the optimizer's own rate, which that of a group may differ from (LoRA+)
    stand_in = torch.optim.SGD(groups, lr=arguments.learning_rate)
    schedule = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer=stand_in,
        num_warmup_steps=arguments.get_warmup_steps(steps),
        num_training_steps=steps,
        scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
    )
    found = []
    for _ in range(steps):
        found.append(tuple(schedule.get_last_lr()))
        stand_in.step()
        schedule.step()
    return found
