"""Steps as PyTorch runs them, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from harness.backends.hf.training.flat_attention import reading
from harness.backends.hf.training.flat_batch import FlatBatch, Row, flat_batch
from harness.backends.hf.training.fused import Fused
from harness.backends.hf.training.objective import TEXT, Objective


class Steps(Protocol):
    """What makes a step of training: gradients of some batches, then an update of the weights."""

    def describe(self) -> dict[str, object]:
        """How steps run, for the result."""

    def learn(self, rows: Sequence[Row], count: int) -> torch.Tensor:
        """Add the gradients of ``rows``, whose loss is divided by ``count``.

        Returns:
            Loss, mean entropy and token accuracy, on the device. The next call may overwrite it.
        """

    def update(self, rates: Sequence[float]) -> torch.Tensor:
        """Clip, take a step of the optimizer at ``rates``, forget the gradients; their norm."""


@dataclass
class EagerSteps:
    """Steps of ``model``."""

    model: PreTrainedModel
    trained: list[torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    half: bool
    """Whether matrix products are autocast to bfloat16."""
    limit: float
    """The norm that gradients are clipped to; infinity for none."""
    fused: Fused
    """What of the model is replaced while it trains."""
    reason: str | None = None
    """Why steps are not captured, on a CUDA device."""
    objective: Objective = TEXT

    def describe(self) -> dict[str, object]:
        """How steps run, for the result."""
        reason = {"captured": False, "eager_reason": self.reason} if self.reason else {}
        return {**reason, **self.fused.describe()}

    def learn(self, rows: Sequence[Row], count: int) -> torch.Tensor:
        """Add the gradients of ``rows``."""
        batch = flat_batch(rows, self.model.device)
        return self.run(batch, 1 / count)

    def run(self, batch: FlatBatch, share: torch.Tensor | float) -> torch.Tensor:
        """Forward and back through ``batch``, whose loss is multiplied by ``share``."""
        self.fused.copies.begin()
        with reading(batch.segments):  # the backward pass reads it too, under checkpointing
            found = self.objective.learn(
                self.model, batch, share=share, half=self.half, kernel=self.fused.loss
            )
            found.loss.backward()
        self.fused.copies.end()
        return torch.stack([found.loss.detach(), found.entropy, found.accuracy])

    def update(self, rates: Sequence[float]) -> torch.Tensor:
        """Take a step of the optimizer."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        norm: torch.Tensor = torch.nn.utils.clip_grad_norm_(self.trained, self.limit)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm
