"""Where a model lies: on the one device of its cell, or layer by layer over several GPUs."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from harness.errors import SkipCell
from harness.plan.cell import Cell
from harness.plan.devices import gpus_of
from harness.suite.parts import Options


def device() -> torch.device:
    """The CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def placing_of(cell: Cell) -> Options:
    """The arguments of `from_pretrained` that lay the model of ``cell`` where it belongs.

    Raises:
        SkipCell: its layers are to lie on more GPUs than this process sees.
    """
    count = gpus_of(cell)
    if count == 1 or not torch.cuda.is_available():
        return {"device_map": {"": str(device())}}
    there = torch.cuda.device_count()
    if there < count:
        raise SkipCell(f"its model lies on {count} GPUs (requires.gpus); {there} can be seen here")
    # without these numbers it would be laid over all that can be seen
    free = {number: torch.cuda.mem_get_info(number)[0] for number in range(count)}
    return {"device_map": "balanced", "max_memory": free}


def use_device_of(model: PreTrainedModel) -> None:
    """Make the device of ``model`` the current one, where it was to lie on several and lies on one.

    transformers may lay a small model on the second. Kernels run on the current device: they would
    read and write memory of another one, without waiting for it.
    """
    place = model.device
    if place.type != "cuda" or place.index is None or lies_on(model):
        return
    if place.index != torch.cuda.current_device():
        torch.cuda.set_device(place)


def lies_on(model: PreTrainedModel) -> list[int]:
    """The CUDA devices on which the layers of ``model`` lie; empty where all lie on one."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    places = (getattr(base, "hf_device_map", None) or {}).values()
    found = {torch.device(place) for place in places if place not in ("disk", "meta")}
    numbers = sorted({place.index or 0 for place in found if place.type == "cuda"})
    return numbers if len(numbers) > 1 else []


def split_reason(model: PreTrainedModel) -> str | None:
    """Why what knows one device cannot run ``model``; None if it lies on one."""
    found = lies_on(model)
    return f"its layers lie on {len(found)} GPUs" if found else None
