"""What the training engine writes to a checkpoint and reads back: weights, optimizer, numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from harness.backends.hf.training.checkpoints import random_state, set_random_state
from harness.backends.hf.training.steps import Step

WEIGHTS, REST = "weights.safetensors", "state.pt"


def saving_steps(steps: Sequence[Step], arguments: Any) -> frozenset[int]:
    """The numbers of the ``steps`` after which the suite's keys want a checkpoint, from 1.

    After the last one there is nothing to go on with.
    """
    strategy = str(getattr(arguments.save_strategy, "value", arguments.save_strategy))
    total = len(steps)
    if strategy == "epoch":
        return frozenset(n for n in range(1, total) if steps[n].opens_epoch)
    if strategy != "steps":
        return frozenset()
    every = arguments.save_steps
    # a share of the training, as the trainer reads it
    every = math.ceil(total * every) if every < 1 else int(every)
    return frozenset(range(every, total, every))


def save_state(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, noted: torch.Tensor
) -> None:
    """Write the state of a training between two steps to ``folder``."""
    weights = {name: p.detach().cpu().contiguous() for name, p in _trained(model)}
    save_file(weights, folder / WEIGHTS)
    rest = {"optimizer": optimizer.state_dict(), "noted": noted.cpu(), "random": random_state()}
    torch.save(rest, folder / REST)


@torch.no_grad()
def load_state(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, noted: torch.Tensor
) -> None:
    """Put back what `save_state` wrote; the random numbers last, so that nothing draws after."""
    weights = load_file(folder / WEIGHTS)
    for name, parameter in _trained(model):
        parameter.copy_(weights[name])
    rest = torch.load(folder / REST, weights_only=True, map_location="cpu")
    _load_optimizer(optimizer, rest["optimizer"])
    noted.copy_(rest["noted"])
    set_random_state(rest["random"])


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Put the moments back: where they are, if there are any, as captured steps read them there.

    The learning rate is not among them: it is set before each step.
    """
    if not optimizer.state:
        optimizer.load_state_dict(saved)
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, values in saved["state"].items():
        for name, value in values.items():
            optimizer.state[parameters[number]][name].copy_(value)


def _trained(model: PreTrainedModel) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
