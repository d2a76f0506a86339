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


def answering_gib(job: Mapping[str, Any]) -> float:
    """Device memory that the cell of ``job`` may take while it answers; 0 where nobody knows.

    What its place was chosen by, also where it turned out to have the device to itself: what a cell
    answers must not depend on who runs beside it.
    """
    return float(job.get("takes_gib") or 0.0)
