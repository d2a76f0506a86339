"""Labels as answers to a question: learned as text, ranked by likelihood or generated and parsed.

Both sides of a comparison are asked the same question, so a gain is not a change of prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from harness.backends.base import Asking, Piece
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import TrainingRows, encode
from harness.backends.hf.latency.latency import Latency, forward_latency, forward_throughput
from harness.backends.hf.tasks.label_record import label_record, text_ids
from harness.backends.hf.tasks.text import TextTask
from harness.backends.prompting import asked
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import read_answers


class LabelAnswers(TextTask):
    """Labels are answers to a question after the text."""

    def training_rows(self, train: Sequence[Example]) -> TrainingRows:
        """The question and the label as ids and labels, audited."""
        return super().training_rows(asked(train, self.cell.task.labels))

    def predict(
        self, model: PreTrainedModel, test: Sequence[Example], asking: Asking
    ) -> list[Prediction]:
        """One record per test example with its label, None where an answer names none."""
        labels = self.cell.task.labels
        questions = asked(test, labels)
        if self.cell.task.answered_by == "likelihood":
            return self._ranked(model, questions, asking.batch_size)
        records = super().predict(model, questions, asking)
        read_answers(records, self.cell.task)
        return records

    def stream(self, model: PreTrainedModel, example: Example, asking: Asking) -> Iterator[Piece]:
        """The answer to the question for the label; a label that is ranked comes in one piece."""
        if self.cell.task.answered_by == "likelihood":
            (record,) = self.predict(model, [example], asking)
            return iter([Piece(record["prediction"], 0, "stop")])
        return super().stream(model, asked([example], self.cell.task.labels)[0], asking)

    def _ranked(
        self, model: PreTrainedModel, questions: Sequence[Example], batch_size: int
    ) -> list[Prediction]:
        """Each label's log-likelihood per byte (lm-evaluation-harness's `acc_norm`)."""
        labels = self.cell.task.labels
        answered = [
            replace(question, reference=label) for question in questions for label in labels
        ]
        rows = [row.led for row in encode(self.cell.model, self.tokenizer, answered)]
        scores = score_answers(model, rows, pad=self.tokenizer.pad_token_id, batch_size=batch_size)
        sizes = [len(label.encode()) for label in labels]
        records = []
        for first in range(0, len(rows), len(labels)):
            chunk = scores[first : first + len(labels)]
            per_byte = [-score.nll / size for score, size in zip(chunk, sizes, strict=True)]
            records.append(label_record(rows[first].prompt, per_byte, labels))
        return records

    def describe(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, object]:
        """How questions are made, what ends an answer, and how answers were decoded."""
        return super().describe(model, asked(test, self.cell.task.labels))

    def latency(self, model: PreTrainedModel, test: Sequence[Example]) -> Latency:
        """Seconds of one forward pass over each of the first questions.

        Ranking labels needs one pass for each label; one is timed.
        """
        return forward_latency(model, self.prompt_ids(test[: self.cell.evaluation.latency_prompts]))

    def throughput(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, float]:
        """Tokens per second of one full batch; examples, where the other side has a head."""
        if self.cell.dataset.classify_by != "head":
            return super().throughput(model, test)
        # this is the baseline of cells with a head: both sides are timed on the same pass
        ids = text_ids(self.tokenizer, test[: self.cell.evaluation.batch_size])
        return forward_throughput(model, self.tokenizer, ids)
