"""What a kind of task does with a model: the seam between the backend's verbs and the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from transformers import PreTrainedModel

from harness.backends.base import Asking, BackendResult, TellStep
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.trained import Trained
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction


class TaskKind(Protocol):
    """Text, labels by a head, labels as answers, or random weights."""

    def trainable(self) -> PreTrainedModel:
        """The base under a fresh adapter, ready to train."""

    def rows(self, train: Sequence[Example], folder: Path) -> TrainingRows:
        """``train`` as rows for the trainer, audited; kept in ``folder`` for other cells."""

    def train(
        self, model: PreTrainedModel, rows: TrainingRows, scratch: Path,
        checkpoints: Checkpoints | None = None, *, tell: TellStep | None = None,
    ) -> Trained:  # fmt: skip
        """Train the adapter of ``model`` on ``rows``, from the last of ``checkpoints`` on.

        ``tell`` gets each record of the log when it is there.
        """

    def cost(
        self, model: PreTrainedModel, census: Mapping[str, Any], trained: Trained, seconds: float
    ) -> dict[str, float]:
        """Time, speed and size of the training that took ``seconds``."""

    def save(self, model: PreTrainedModel, folder: Path) -> dict[str, float]:
        """Write the adapter to ``folder``, if it is worth keeping; its size."""

    def served(self, adapter: Path) -> PreTrainedModel:
        """What the cell serves: the base, with the ``adapter`` on disk unless it is `base`."""

    def proof(self, model: PreTrainedModel, probe: Example) -> dict[str, float]:
        """How much an attached adapter changes on ``probe``; nothing where none is attached."""

    def predict(
        self, model: PreTrainedModel, test: Sequence[Example], asking: Asking
    ) -> list[Prediction]:
        """One record per example of ``test``."""

    def describe(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, object]:
        """How ``test`` was asked and its answers decoded, for the result's facts."""

    def measure(self, model: PreTrainedModel, test: Sequence[Example]) -> BackendResult:
        """Latency, throughput and memory, on the first of ``test``."""
