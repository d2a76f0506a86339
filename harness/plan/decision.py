"""What is decided about one cell before it runs: whether it does, what it needs, why not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from harness.plan.cell import Cell, cell_record
from harness.plan.memory import CARD_SHARE, Estimate
from harness.plan.stages import LEFT_BY, Stage, stages_of
from harness.results.measured import MeasuredIn
from harness.results.records import Environment

ASKING_GIB = 0.5
"""Of a process that asks a server: Python, the answers, no weights."""


@dataclass(frozen=True)
class Decision:
    """What becomes of one cell in this invocation."""

    cell: Cell
    key: str
    fingerprint: str
    action: Literal["run", "current", "skip", "elsewhere"]
    """`elsewhere`: it belongs to another shard."""
    reason: str | None = None
    """Why it is skipped, or why it is run again."""
    content: dict[str, str] | None = None
    """Hashes of model and data, and versions, that the fingerprint covers."""
    memory: Estimate | None = None
    """What it is expected to need; None for architectures that are not known."""
    stages: tuple[Stage, ...] = ()
    """What is still to be done; of a `current` cell nothing, or `score`, which needs no worker."""
    reuse: Mapping[str, str] = field(default_factory=dict)
    """Stage → the folder under ``cells/`` of an earlier cell that has done it."""
    hardware: str = ""
    max_vram_gib: float | None = None
    """What the user lets a cell need."""
    card_gib: float = 0.0
    """Memory of the smallest GPU that it may get; 0 without one."""
    measured_in: MeasuredIn | None = None
    """The cell that measures speed in this one's place; None if it does so itself, or none does."""
    trained_in: str | None = None
    """The key of the cell that trains this one's adapter: its worker uses it, so it comes first."""

    @property
    def kept(self) -> list[str]:
        """What earlier cells have done for this one, in words."""
        return [LEFT_BY[stage] for stage in stages_of(self.cell) if stage in self.reuse]

    @property
    def word(self) -> str:
        """What `plan` prints: the first stage to be done, else the action."""
        return self.stages[0] if self.stages else self.action

    @property
    def needs_gib(self) -> float | None:
        """What the model's card asks for, else what is expected; None where neither is known."""
        if self.cell.is_served:
            return ASKING_GIB
        asked = self.cell.model.requires.memory_gib
        return asked if asked is not None or self.memory is None else self.memory.needed_gib

    @property
    def copies(self) -> bool:
        """Whether it answers with copies of its 4-bit weights: if the smallest GPU has the room."""
        copied = None if self.memory is None else self.memory.copied_gib
        limit = min(CARD_SHARE * self.card_gib, self.max_vram_gib or math.inf)
        return copied is not None and copied <= limit

    @property
    def takes_gib(self) -> float | None:
        """`needs_gib` with the copies, which its place is chosen by; None where nobody knows."""
        if not self.copies or self.needs_gib is None or self.memory is None:
            return self.needs_gib
        return max(self.needs_gib, self.memory.copied_gib or 0.0)

    def left(self) -> Decision:
        """The decision to leave the cell to another machine."""
        if self.action == "current":
            return self
        return replace(self, action="elsewhere", reason=None, stages=(), reuse={})

    def plan_entry(self) -> dict[str, object]:
        """The cell's line in ``plan.json``."""
        return {
            **self.cell.axes,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "task": self.cell.task.task,
            "primary_metric": self.cell.task.primary_metric,
            "skip": self.reason if self.action == "skip" else None,
            "measured_in": self.measured_in.record if self.measured_in else None,
        }

    def job(self, environment: Environment) -> dict[str, object]:
        """The worker's input, ``cell.json``."""
        return {
            "cell": cell_record(self.cell),
            "axes": self.cell.axes,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "content": self.content,
            "environment": asdict(environment),
            "hardware": self.hardware,
            "needs_gib": self.needs_gib,
            "takes_gib": self.takes_gib,
            "copies": self.copies,
            # offered, not promised: a worker uses what has the fingerprint that it looks for
            "reuse": {**({"train": self.trained_in} if self.trained_in else {}), **self.reuse},
        }
