"""A deterministic backend without torch, for tests of executors and of scale; never for results.

The baseline copies half of the references, an adapter three quarters; a data set's examples
decide which, so that a run repeats exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from harness.backends.base import (
    AcceptRows,
    Answers,
    Asking,
    BackendResult,
    Device,
    EndingScores,
    Training,
)
from harness.datasets.control import ControlItem
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.plan.cell import Cell
from harness.results.paths import CellPaths, read_json, write_json


class TestingBackend:
    """Predictions that are right for a share of the examples fixed by the adapter."""

    __test__ = False  # pytest would collect it by its name

    def __init__(self, cell: Cell, paths: CellPaths) -> None:
        self._cell = cell
        self._weights = paths.adapter / "adapter.json"
        self._share: float | None = None

    def fine_tune(self, train: Sequence[Example], accept: AcceptRows) -> Training:
        """Write an adapter that says what it was trained on."""
        audit = {"rows": len(train), "tokens": sum(len(e.prompt.split()) for e in train)}
        accept(audit)
        content = _share("/".join(example.id for example in train), self._cell.seed)
        record = {"seed": self._cell.seed, "rows": content, "share": 0.75}
        write_json(self._weights, record, durable=False)
        log = [{"loss": 1.0 / step, "step": float(step)} for step in (1, 2)]
        return Training({"train_seconds": 1.0}, {}, audit, log, seconds=1.0, step=0.5)

    def load(self, probe: Example) -> BackendResult:
        """Read the adapter back; a baseline has none."""
        if self._cell.is_baseline:
            self._share = 0.5
        elif self._weights.is_file():
            self._share = float(read_json(self._weights)["share"])
        else:
            raise HarnessError("the adapter is gone", where=str(self._weights))
        return BackendResult({"load_rss_mib": 1.0})

    def predict(self, test: Sequence[Example], asking: Asking) -> Answers:
        """Right answers for a fixed share of ``test``."""
        assert self._share is not None, "load comes before predict"
        return Answers({"infer_peak_rss_mib": 1.0}, records=[self._record(e) for e in test])

    def score_endings(self, items: Sequence[ControlItem]) -> EndingScores:
        """One nat for each byte."""
        right, wrong = (
            [float(len(text.encode())) for text in texts]
            for texts in ([item.reference for item in items], [item.wrong for item in items])
        )
        return EndingScores(right, wrong)

    def measure(self, test: Sequence[Example]) -> BackendResult:
        """A millisecond for everything."""
        assert self._share is not None, "load comes before measure"
        return BackendResult(
            {"latency_p50_ms": 1.0, "batch_tokens_per_s": 1000.0}, {"latency_ms": [1.0]}
        )

    def _record(self, example: Example) -> Prediction:
        right = _share(example.id, self._cell.seed) < (self._share or 0.0)
        record: Prediction = {
            "prompt": example.prompt,
            "prediction": example.reference if right else "…",
            "finish_reason": "stop",
            "new_tokens": 1,
        }
        labels = self._cell.task.labels
        if labels:
            wrong = next(label for label in labels if label != example.reference)
            predicted = example.reference if right else wrong
            record |= {"prediction": predicted, "predicted_label": predicted}
        return record


def open_backend(cell: Cell, paths: CellPaths, device: Device) -> TestingBackend:
    """The backend of ``cell``."""
    return TestingBackend(cell, paths)


def _share(text: str, seed: int | None) -> float:
    """A number in [0, 1) that ``text`` and ``seed`` decide."""
    digest = hashlib.sha256(f"{text}/{seed}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
