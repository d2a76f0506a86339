"""Predictions to scores: one per example and metric, kept in its record.

Everything here works on the records of ``predictions.jsonl`` alone, so any number can be
computed again without a model.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.datasets.example import Example, digest
from harness.metrics.accounting import is_parsed
from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import read_answers
from harness.metrics.record import Metric
from harness.metrics.registry import find, scored_for
from harness.plan.task import Task
from harness.scoring.extra import extra_metrics

__all__ = ["attach_examples", "is_parsed", "metrics_of", "score_records", "signatures_of"]


def metrics_of(task: Task) -> list[Metric]:
    """Every metric that cells of ``task`` are scored by: the registered ones, the suite's extra."""
    extra = [record for record in extra_metrics(task.evaluation) if record.applies(task)]
    return [*scored_for(task), *extra]


def signatures_of(task: Task) -> dict[str, str]:
    """Metric → its signature now: a result with another one was scored by an older version."""
    return {record.name: record.signature(task) for record in metrics_of(task)}


def score_records(records: list[Prediction], task: Task) -> None:
    """Write each record's ``scores`` (and what was read in its answer) in place.

    A score that nothing computes here any more, such as one of a plug-in that is not installed,
    is kept as it was.
    """
    read_answers(records, task)
    known = metrics_of(task)
    names = {metric.name for metric in known}
    for record in records:
        old = record.get("scores", {})
        record["scores"] = {k: v for k, v in old.items() if k not in names and find(k) is None}
    # accounting metrics are cheap and depend on stored fields, so their scores are not kept
    scorers = [m.scorer for m in known if m.scorer and m.reads != "answer"]
    for scorer in dict.fromkeys(scorers):  # metrics of one family share theirs
        for record, scores in zip(records, scorer(records, task), strict=True):
            record["scores"].update(scores)


def attach_examples(records: Sequence[Prediction], examples: Sequence[Example], task: Task) -> None:
    """Write the example's fields, its hashes and how it was answered into each record, in place.

    ``records`` may be shorter than ``examples``: they are the first ones, in order.
    """
    for record, example in zip(records, examples, strict=False):
        record |= {
            "id": example.id, "category": example.category, "group": example.group,
            "gold": example.gold, "reference": example.reference,
            "example_prompt": example.asked, "data_hash": example.content_hash,
            "prompt_hash": digest(record["prompt"]), "answered_by": task.answered_by,
        }  # fmt: skip
        if example.references:
            record["references"] = list(example.references)
        if task.labels:
            record["label"] = example.reference
