"""Whether a cell can run where cells run: the card, its memory, and what must be fetched first."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.datasets.sources import source_of
from harness.plan.architecture import architecture_of, shape_of
from harness.plan.cell import Cell
from harness.plan.devices import devices_of, gpus_of, on_each_gib
from harness.plan.hub import (
    gated_reason,
    has_token,
    hub_model,
    is_cached,
    is_data_cached,
    is_offline,
    is_reachable,
    uncached_reason,
)
from harness.plan.machine import Machine, Site
from harness.plan.memory import estimate
from harness.suite.endpoint import Endpoint
from harness.suite.model_card import ModelCard, Requirement


def unavailable_reason(cell: Cell, where: Site) -> str | None:
    """Why ``cell`` cannot run on any machine of ``where``; None if it can."""
    card = cell.model
    shape = shape_of(architecture_of(card))
    if shape and shape.is_encoder and cell.task.answered_by != "head":
        # an untrained head answers at random, and there is no language head to ask instead
        what = "has no answer before a head is trained" if cell.is_baseline else "writes no answers"
        return f"{card.name} is an encoder: it {what}; compare with the most frequent label"
    if reason := _devices_reason(cell, where):
        return reason
    reasons = [machine_reason(cell, machine) for machine in where.machines]
    if None not in reasons:
        return "; ".join(dict.fromkeys(filter(None, reasons)))
    # what a far machine has in its cache, and whether it reaches the hub, it says itself
    return fetching_reason(cell) if where.is_here else None


def machine_reason(cell: Cell, machine: Machine) -> str | None:
    """Why ``machine`` is too small for ``cell``, or has not the card that it asks for."""
    card, needs = cell.model, cell.model.requires
    if needs.accelerator != "none" and machine.gpu is None:
        return f"{card.name} needs {_wanted(needs)}; this machine has none"
    if not has_accelerator(needs, machine.gpu):
        return f"{card.name} needs {_wanted(needs)}; this machine has {machine.gpu}"
    here = machine.gpu_memory_gib if machine.gpu else machine.memory_gib
    needed = needed_gib(cell)
    if needed is not None and machine.gpu is None:
        needed *= devices_of(cell)  # as many processes, each with the model, in one memory
    if needed is not None and machine.gpu and cell.model.requires.memory_gib is None:
        needed = on_each_gib(needed, gpus_of(cell))
    if needed is not None and needed > here:
        return f"{card.name} needs {needed:.3g} GiB here; this machine has {here:.1f} GiB"
    return None


def _devices_reason(cell: Cell, where: Site) -> str | None:
    """Why ``where`` has not as many GPUs as ``cell`` trains on; None if it has, or has no GPU.

    Without GPUs it trains in as many processes, which mean the same.
    """
    if not any(machine.gpu for machine in where.machines):
        return None
    gives = "1 GPU" if where.gpus == 1 else f"{where.gpus} GPUs"
    if devices_of(cell) > where.gpus:
        text = f"trains on {devices_of(cell)} GPUs (training.devices)"
    elif gpus_of(cell) > where.gpus:
        text = f"its model lies on {gpus_of(cell)} GPUs (requires.gpus)"
    else:
        return None
    return f"{text}; a cell gets at most {gives} here"


def has_accelerator(needs: Requirement, gpu: str | None) -> bool:
    """Whether ``gpu`` is the accelerator that ``needs`` names.

    `a100` is one of the words of "NVIDIA A100-SXM4-80GB"; `a10` is not.
    """
    if needs.accelerator in ("none", "cuda"):
        return needs.accelerator == "none" or gpu is not None
    return needs.accelerator.lower() in re.split(r"[^a-z0-9]+", (gpu or "").lower())


def fetching_reason(cell: Cell) -> str | None:
    """Why model or data of ``cell`` cannot be had here; None if nothing speaks against."""
    card = cell.model
    if card.endpoint is not None and (reason := missing_key(card.endpoint)):
        return f"{card.name}: {reason}"
    if card.is_on_hub and (reason := _not_on_hub(card)):
        return reason
    source = source_of(cell.dataset, Path(cell.base_folder))
    far, name = source.needs_network, source.name
    if far and not is_data_cached(name) and not is_reachable():
        return f"data set {uncached_reason(name)}"
    return None


def missing_key(endpoint: Endpoint) -> str | None:
    """Why the key of ``endpoint`` cannot be sent; None where it can, or none is needed."""
    name = endpoint.api_key_env
    if name is None or os.environ.get(name, "").strip():
        return None
    return f"its key is not there: set the environment variable {name}"


def needed_gib(cell: Cell) -> float | None:
    """What the card asks for, else what the cell is expected to take; None where neither is known.

    A guess for the whole model would refuse a 4-bit cell on a card that holds it easily.
    """
    asked = cell.model.requires.memory_gib
    if asked is not None:
        return asked
    expected = estimate(cell)
    return None if expected is None else expected.needed_gib


def _wanted(needs: Requirement) -> str:
    return "a CUDA GPU" if needs.accelerator == "cuda" else f"the GPU {needs.accelerator}"


def _not_on_hub(card: ModelCard) -> str | None:
    """Why the weights of ``card``, on the hub, cannot be had; None if nothing speaks against."""
    if is_cached(card.source):
        return None
    if card.gated and not has_token() and not is_offline():
        return gated_reason(card.source)
    if not is_reachable():
        return uncached_reason(card.source)
    # a card with its architecture is believed; a bare id is looked up once
    return None if card.architecture else hub_model(card.source, card.revision).unavailable
