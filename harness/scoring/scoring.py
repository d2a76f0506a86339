"""Predictions to scores: one per example and metric, kept in its record.

Everything here works on the records of ``predictions.jsonl`` alone, so any number can be
computed again without a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from harness.datasets.example import Example, digest
from harness.errors import HarnessError
from harness.plan.task import Task

if TYPE_CHECKING:
    from harness.metrics.rouge import RougeScores

Record = dict[str, Any]
VERSIONS = {"rouge": 1, "chrf": 1, "exact_match": 1, "numeric": 1, "labels": 1, "likelihood": 1,
            "accounting": 1}  # fmt: skip
"""Metric family → version; rises when a score of the same prediction would change."""
METRIC_VERSION = 2 + sum(VERSIONS.values())
"""Rises with every version: stored cells that were scored by an older one are scored again."""


def score_records(records: list[Record], task: Task) -> None:
    """Write each record's ``scores`` (and what was extracted) in place."""
    if task.task == "classification":
        for record in records:
            hit = record["predicted_label"] == record["label"]
            record["scores"] = {"accuracy": float(hit)}
        return
    _score_text(records, task)
    score_numbers(records, task)
    for name in task.evaluation.metrics:
        _score_extra(records, name)


def _score_text(records: list[Record], task: Task) -> None:
    from harness.metrics.chrf import chrf
    from harness.metrics.classification import exact_match

    pairs = [(record, reference) for record in records for reference in _accepted(record)]
    texts = [record["prediction"] for record, _ in pairs]
    rouges = rouge_of(texts, [reference for _, reference in pairs], task)
    for record in records:
        record["scores"] = {}
    for (record, reference), rouge in zip(pairs, rouges, strict=True):
        scores = {
            **rouge._asdict(),
            "chrf": chrf(record["prediction"], reference),
            "exact_match": exact_match(record["prediction"], reference),
        }
        # Of several references the best counts, for each metric by itself, as in SQuAD.
        for metric, score in scores.items():
            record["scores"][metric] = max(score, record["scores"].get(metric, score))


def _accepted(record: Record) -> list[str]:
    """Every reference of a record: one, or several."""
    references: list[str] = record.get("references") or [record["reference"]]
    return references


def rouge_of(texts: Sequence[str], references: Sequence[str], task: Task) -> list[RougeScores]:
    """ROUGE of each text against its reference, by the suite's tokenizer and stemmer."""
    from harness.metrics.rouge import rouge_many

    return rouge_many(
        texts,
        references,
        tokenizer=task.evaluation.rouge_tokenizer,
        stemmer=task.evaluation.rouge_stemmer,
        refuse_lost=task.evaluation.on_lost_words == "error",
    )


def score_numbers(records: list[Record], task: Task) -> None:
    """Write whether the number in each answer is the gold one, where there is one, in place."""
    from harness.metrics.numbers import numeric_match

    tolerance = Decimal(str(task.evaluation.numeric_rel_tol))
    for record in records:
        if record.get("gold") is None:
            continue
        score = numeric_match(
            record["prediction"], record["gold"], language=task.language, rel_tol=tolerance
        )
        record["scores"]["numeric_accuracy"] = float(score.correct)
        record["extracted"] = score.found.text if score.found else None
        record["ambiguous"] = score.ambiguous
        record["extracted_span"] = [score.found.start, score.found.end] if score.found else None


def _score_extra(records: list[Record], name: str) -> None:
    """An `evaluate` module's value per example, called once for each."""
    import evaluate

    if any(len(_accepted(record)) > 1 for record in records):
        hint = "Take the extra metric out, or keep one reference a row."
        raise HarnessError(f'metric "{name}" is given one reference; rows have several', hint=hint)
    module = evaluate.load(name)
    label = name.rstrip("/").rsplit("/", 1)[-1].removesuffix(".py")
    for record in records:
        found = module.compute(predictions=[record["prediction"]], references=[record["reference"]])
        for key, value in (found or {}).items():
            if isinstance(value, int | float):
                metric = label if len(found) == 1 else f"{label}_{key}"
                record["scores"][metric] = float(value)


def is_parsed(record: Record) -> bool | None:
    """Whether the answer held what was looked for; None where nothing is looked for."""
    if "extracted" in record:
        return record["extracted"] is not None
    if "predicted_label" in record:
        return record["predicted_label"] is not None
    return None


def complete(records: Sequence[dict[str, Any]], examples: Sequence[Example], task: Task) -> None:
    """Write the example's fields, its hashes and how it was answered into each record, in place.

    ``records`` may be shorter than ``examples``: they are the first ones, in order.
    """
    for record, example in zip(records, examples, strict=False):
        record.update(
            id=example.id, category=example.category, group=example.group, gold=example.gold,
            reference=example.reference, example_prompt=example.asked,
            data_hash=example.content_hash,
            prompt_hash=digest(record["prompt"]), answered_by=task.answered_by,
        )  # fmt: skip
        if example.references:
            record["references"] = list(example.references)
        if task.labels:
            record["label"] = example.reference
