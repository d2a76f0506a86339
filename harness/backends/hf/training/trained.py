"""What training leaves behind, whichever engine did it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trained:
    """What training left behind, besides the adapter on disk."""

    log: list[dict[str, float]]
    """One record per logged step: loss, learning rate, gradient norm, token accuracy, entropy."""
    seconds: float
    """Wall-clock seconds of the steps alone: no set-up of the trainer, no tokenization."""
    tokens: int
    """Non-padding tokens in the rows, times epochs trained."""
    steps: int
    started: float
    """`time.monotonic` at the first step."""
    step: float
    """Median seconds of a step after the first."""
    parts: dict[str, float]
    """MiB of gradients and optimizer state; on CUDA of the rest of the peak too."""
    how: dict[str, object]
    """Which engine trained (`flat` or `trl`), and why not the faster one."""

    def cost(self, facts: Mapping[str, Any], seconds: float) -> dict[str, float]:
        """Time, speed and size of training a model of which `census` gave ``facts``."""
        trained, total = facts["trainable_params"], facts["total_params"] or 1
        return {
            **self.parts,
            "train_seconds": seconds,
            "train_tokens_per_s": self.tokens / max(seconds, 1e-9),
            "trainable_params": trained,
            "trainable_percent": 100 * trained / total,
        }
