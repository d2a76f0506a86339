"""The label task by a trained head on the bare text; its baseline ranks the labels as answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from harness.backends.base import Asking, TellStep
from harness.backends.hf.decoding.decode import decoding_facts
from harness.backends.hf.decoding.heads import head_scores
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.latency.latency import Latency, forward_latency, forward_throughput
from harness.backends.hf.tasks.label_record import label_record, text_ids
from harness.backends.hf.tasks.pretrained import PretrainedTask
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.label_trainer import train_labels
from harness.backends.hf.training.trained import Trained
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction
from harness.suite.options import training_value


class LabelHead(PretrainedTask):
    """A new linear head is trained with the adapter, and answers in one forward pass."""

    def training_rows(self, train: Sequence[Example]) -> TrainingRows:
        """``train`` as ids and label indices; rows over `max_length` are cut and counted."""
        limit = training_value(self.cell.training, "max_length")
        labels = self.cell.task.labels
        rows, cut, tokens = [], 0, 0
        for example, ids in zip(train, text_ids(self.tokenizer, train), strict=True):
            kept = ids if limit is None else ids[:limit]
            cut += len(ids) > len(kept)
            tokens += len(kept)
            rows.append({"input_ids": kept, "labels": labels.index(example.reference)})
        return TrainingRows(rows, {"rows": len(rows), "rows_cut": cut, "tokens": tokens})

    def train(
        self, model: PreTrainedModel, rows: TrainingRows, scratch: Path,
        checkpoints: Checkpoints | None = None, *, tell: TellStep | None = None,
    ) -> Trained:  # fmt: skip
        """The adapter and the head trained on ``rows``."""
        return train_labels(model, self.tokenizer, self.cell, rows, scratch, checkpoints, tell=tell)

    def predict(
        self, model: PreTrainedModel, test: Sequence[Example], asking: Asking
    ) -> list[Prediction]:
        """One record per test example with the head's log-probability of each label."""
        ids = text_ids(self.tokenizer, test)
        scores = head_scores(model, self.tokenizer, ids, batch_size=asking.batch_size)
        labels = self.cell.task.labels
        return [label_record(e.prompt, scores[k], labels) for k, e in enumerate(test)]

    def describe(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, object]:
        """The first text as the head sees it."""
        return {"decoding": decoding_facts(model), "first_prompt": test[0].prompt}

    def latency(self, model: PreTrainedModel, test: Sequence[Example]) -> Latency:
        """Seconds of one forward pass for each of the first test texts."""
        first = test[: self.cell.evaluation.latency_prompts]
        return forward_latency(model, text_ids(self.tokenizer, first))

    def throughput(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, float]:
        """Examples per second of one full batch."""
        ids = text_ids(self.tokenizer, test[: self.cell.evaluation.batch_size])
        return forward_throughput(model, self.tokenizer, ids)
