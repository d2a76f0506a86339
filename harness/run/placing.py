"""Which device a stage runs on, what it may take, and what a shared one cannot measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.results.stages import StageRecord

OF_THE_WHOLE_CARD = frozenset({"train_energy_j", "device_vram_mib"})
"""Counted by the board for all that runs on it. What is measured while the others are stopped is
the cell's own, but for the memory that they go on holding."""


def placed(record: StageRecord, job: Mapping[str, Any]) -> StageRecord:
    """``record`` with the device of ``job``, without numbers that other cells on it had part in."""
    device = job.get("device")
    if device is None:
        return record
    facts = {**record.facts, "device": device}
    if device["cells_at_once"] == 1:
        return replace(record, facts=facts)
    numbers = {k: v for k, v in record.numbers.items() if k not in OF_THE_WHOLE_CARD}
    return replace(record, facts=facts, numbers=numbers)
