"""What a worker asks of the suite's runner: the device to itself, and how long it was paused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Device(Protocol):
    """The seam between a worker and whoever started it."""

    def stage(self, name: str) -> None:
        """Tell that the cell is now in stage ``name``."""

    def exclusive(self) -> Any:
        """A context in which no other cell runs on the device."""

    def paused_seconds(self, since: float) -> float:
        """Seconds this worker stood still for others since `time.monotonic` read ``since``."""


def elapsed(device: Device, since: float) -> float:
    """Seconds since `time.monotonic` read ``since``, without those that the worker stood still."""
    return time.monotonic() - since - device.paused_seconds(since)


class Alone:
    """A worker run by hand: nobody to wait for."""

    def stage(self, name: str) -> None:
        """Print the stage."""
        print(f"· {name}", flush=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing to do: no other cell runs."""
        yield

    def paused_seconds(self, since: float) -> float:
        """Never paused."""
        return 0.0
