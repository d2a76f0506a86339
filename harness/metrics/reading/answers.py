"""What is scored of a prediction: the answer behind its reasoning, and the label it gives.

The reasoning is cut off here, once, before any metric; the record keeps the raw prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.prediction import Prediction
from harness.metrics.reading.labels import read_label
from harness.metrics.reading.reasoning import Answer, split_reasoning, spoken_in
from harness.metrics.record import ScoredTask


def answer_of(record: Prediction) -> Answer:
    """The answer in a record's prediction, without its reasoning."""
    return split_reasoning(record["prediction"], record.get("prompt") or "")


def spoken_of(record: Prediction) -> str:
    """The text to score of a record's prediction: ``answer_of(record).spoken``."""
    return spoken_in(record["prediction"], record.get("prompt") or "")


def read_answers(records: Sequence[Prediction], task: ScoredTask) -> list[Answer]:
    """The answer of each record; what was read is written into the record.

    Where any answer holds reasoning, every record gets `reasoning_chars` and `reasoning_closed`.
    Labels that were generated are read again: `predicted_label` and `label_span`.
    """
    if task.answered_by != "generation":  # a head or a likelihood chose the label: no text to read
        return [Answer(record["prediction"]) for record in records]
    answers = [answer_of(record) for record in records]
    thinks = any(answer.reasoning or not answer.closed for answer in answers)
    for record, answer in zip(records, answers, strict=True):
        if thinks:
            record["reasoning_chars"] = answer.reasoning
            record["reasoning_closed"] = answer.closed
        if task.task == "classification":
            found = read_label(answer.text, task.labels)
            record["predicted_label"] = found.label if found else None
            record["label_span"] = [found.start, found.end] if found else None
    return answers
