"""Variables of `accelerate launch`, `torchrun` or MPI, which must not change what a suite trains.

The trainers read their precision, their device and the number of processes from them where the
suite's keys leave that open; the fingerprint of a cell does not hold them. Under `accelerate launch
--mixed_precision bf16 harness run …` a cell in float32 would be trained in bfloat16.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from harness.plan.cell import Cell
from harness.suite.engine_keys import keys_without_head

PREFIXES = ("ACCELERATE_", "FSDP_", "MEGATRON_LM_", "PARALLELISM_CONFIG_", "TORCHELASTIC_")
PROCESSES = frozenset(
    {
        "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK",
        "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
        # where accelerate looks for MPI's, on a CPU
        "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE",
        "MPI_LOCALRANKID", "MPI_LOCALNRANKS",
    }
)  # fmt: skip
HARMLESS = frozenset(
    {
        "ACCELERATE_LOG_LEVEL", "ACCELERATE_ENABLE_RICH", "ACCELERATE_DISABLE_RICH",
        "ACCELERATE_DEBUG_MODE", "ACCELERATE_CONFIG_DIR",
    }
)  # fmt: skip
"""What only changes how accelerate writes and where it looks for files."""


@contextmanager
def without_launcher() -> Iterator[list[str]]:
    """Take a launcher's variables out of the environment meanwhile; gives their names."""
    found = _taken_out()
    try:
        yield list(found)
    finally:
        _taken_out()  # what accelerate has set: the next cell here would warn of it
        os.environ.update(found)


def ignored_notes(cell: Cell, names: list[str]) -> list[str]:
    """Warnings about variables ``names`` and keys that the training of ``cell`` did not follow."""
    notes = []
    if names:
        named = ", ".join(names)
        notes.append(f"training did not follow the environment's {named}: the suite's keys decide")
    if cell.task.answered_by == "head" and (keys := keys_without_head(cell.training)):
        notes.append(f"training keys of text alone, without effect on a head: {', '.join(keys)}")
    return notes


def _taken_out() -> dict[str, str]:
    return {name: os.environ.pop(name) for name in sorted(os.environ) if _is_launchers(name)}


def _is_launchers(name: str) -> bool:
    return name in PROCESSES or (name.startswith(PREFIXES) and name not in HARMLESS)
