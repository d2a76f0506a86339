"""Energy of the CUDA devices in use, from NVML's counter.

The counter is the board's (millijoules since the driver was loaded), so whatever else runs there is
in it. Boards older than Volta have none; then the energy is unknown, not zero.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch


@dataclass
class Energy:
    """Joules of the enclosed work; None where they cannot be read."""

    joules: float | None = None

    def per_1k(self, tokens: int) -> dict[str, float]:
        """Joules per 1,000 of ``tokens`` under its metric name; nothing where it is unknown."""
        if self.joules is None:
            return {}
        return {"energy_j_per_1k_tokens": 1000 * self.joules / tokens}


@contextmanager
def energy() -> Iterator[Energy]:
    """Measure the energy of the enclosed work on the current device."""
    found = Energy()
    before = _millijoules()
    yield found
    if before is not None:
        torch.cuda.synchronize()
        after = _millijoules()
        found.joules = None if after is None else (after - before) / 1000


def _millijoules() -> int | None:
    handle = _device() if torch.cuda.is_available() else None
    if handle is None:
        return None
    library, device = handle
    value = ctypes.c_ulonglong()
    failed = library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(value))
    return None if failed else value.value


@cache
def _device() -> tuple[Any, ctypes.c_void_p] | None:
    """NVML and the current device in it, found by UUID: the order of devices may differ."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2():
            return None
    except (OSError, AttributeError):
        return None
    name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
    device = ctypes.c_void_p()
    failed = library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(device))
    return None if failed else (library, device)
