"""Scores to values: means with their intervals, over all records of a cell and per category."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

from harness.metrics.prediction import Prediction
from harness.metrics.record import Metric, PairedCorpus
from harness.metrics.registry import TRIVIAL_ANSWERS, find
from harness.plan.task import Task
from harness.results.records import ConfusionMatrix
from harness.results.result import Value
from harness.scoring.scoring import metrics_of


def aggregate(
    records: list[Prediction], task: Task, trivial: Mapping[str, str] | None = None
) -> list[Value]:
    """The metrics of ``records``, over all of them and per category, and of trivial answers."""
    metrics = metrics_of(task)
    values = _over(records, metrics, task, None)
    values += _trivial_values(records, metrics, task, trivial or {})
    # sorted, so that the order of stored values does not depend on the order of rows
    categories = sorted({name for r in records if (name := r.get("category"))})
    for category in categories:
        members = [r for r in records if r.get("category") == category]
        values += _over(members, metrics, task, category)
    return values


def _over(
    records: list[Prediction], metrics: Sequence[Metric], task: Task, category: str | None
) -> list[Value]:
    values = []
    among = groups_of(records)
    # where no group repeats, none does among the examples that have a score
    groups = among if len(set(among)) < len(among) else None
    for metric in metrics:
        if metric.corpus:
            found = _corpus_value(records, metric, task, category)
        else:
            found = _mean_of(records, metric, task, category, groups=groups)
        values += [found] if found else []
    return values


def _mean_of(
    records: list[Prediction],
    metric: Metric,
    task: Task,
    category: str | None,
    *,
    groups: Sequence[str] | None,
) -> Value | None:
    """The mean of a metric's scores; of how answers came out, computed here and kept nowhere.

    ``groups`` are those of the records, None if no two records share one.
    """
    if metric.reads == "answer" and metric.scorer:
        scores = metric.scorer(records, task)
    else:
        scores = [record["scores"] for record in records]
    numbers = [s[metric.name] for s in scores if metric.name in s]
    if not numbers:
        return None
    if groups is not None:
        groups = [group for group, s in zip(groups, scores, strict=True) if metric.name in s]
    low, high = interval(numbers, groups)
    return Value(
        metric.name, math.fsum(numbers) / len(numbers), metric.unit, metric.higher_is_better,
        len(numbers), low, high, category, metric.signature(task),
    )  # fmt: skip


def _corpus_value(
    records: list[Prediction], metric: Metric, task: Task, category: str | None
) -> Value | None:
    """The value of all records together.

    A category may lack some labels, and macro-F1 over the others would be a different metric. So
    such values exist for the whole set only.
    """
    assert metric.corpus is not None
    if metric.reads == "label" and category is not None:
        return None
    value = metric.corpus.value(records, task.labels)
    if value is None:
        return None
    limits: tuple[float | None, float | None] = (None, None)
    if isinstance(metric.corpus, PairedCorpus) and len(records) > 1:
        limits = _corpus_limits(records, metric.corpus, task)
    n = sum(r.get("nll") is not None for r in records) if metric.reads == "likelihood" else None
    return Value(
        metric.name, value, metric.unit, metric.higher_is_better, n or len(records), *limits,
        category, metric.signature(task),
    )  # fmt: skip


def _corpus_limits(
    records: list[Prediction], corpus: PairedCorpus, task: Task
) -> tuple[float | None, float | None]:
    from harness.statistics import repeating

    clusters = repeating(groups_of(records))
    return corpus.interval(records, task.labels, clusters=clusters)


def groups_of(records: Sequence[Prediction]) -> list[str]:
    """The cluster of each record: its group, else itself."""
    return [r.get("group") or r["id"] for r in records]


def _trivial_values(
    records: list[Prediction], metrics: Sequence[Metric], task: Task, trivial: Mapping[str, str]
) -> list[Value]:
    """Scores of answers that need no model, on these examples."""
    values = []
    for answer in TRIVIAL_ANSWERS:
        asking = [metric for metric in metrics if answer in metric.trivial]
        texts = _answers(answer, records, trivial)
        if asking and texts:
            note = "the prompt" if answer == "copied_prompt" else f'always "{texts[0][:60]}"'
            values += _as_if(texts, records, asking, task, answer=answer, note=note)
    return values


def _answers(
    answer: str, records: Sequence[Prediction], trivial: Mapping[str, str]
) -> list[str] | None:
    """The trivial answer to each record; None where the data set has none of the kind."""
    if answer == "copied_prompt":
        return [record["example_prompt"] for record in records]
    if answer == "test_majority":
        counts = Counter(record["label"] for record in records if "label" in record)
        return [counts.most_common(1)[0][0]] * len(records) if counts else None
    return [trivial[answer]] * len(records) if answer in trivial else None


_SUPPOSED: dict[str, tuple[Value, ...]] = {}
"""Trivial values that were computed already: cells of one data set share them."""
MOST_SUPPOSED = 64


def _as_if(
    texts: Sequence[str], records: Sequence[Prediction], metrics: Sequence[Metric], task: Task,
    *, answer: str, note: str,
) -> list[Value]:  # fmt: skip
    """The values that ``metrics`` would have if the model had answered ``texts``."""
    key = _supposed_key(texts, records, metrics, task)
    if key in _SUPPOSED:
        return list(_SUPPOSED[key])
    # No prompt: one that opens a reasoning block would hide the supposed answer.
    supposed: list[Prediction] = [
        {**r, "prompt": "", "prediction": text, "predicted_label": text, "scores": {}}
        for r, text in zip(records, texts, strict=True)
    ]
    values = []
    for metric in metrics:
        if metric.corpus:
            number, n = metric.corpus.value(supposed, task.labels), len(supposed)
        else:
            given = metric.scorer(supposed, task) if metric.scorer else []
            scores = [s[metric.name] for s in given if metric.name in s]
            number, n = math.fsum(scores) / len(scores) if scores else None, len(scores)
        if number is not None:
            values.append(Value(f"{metric.name}_{answer}", number, metric.unit, n=n, note=note))
    if len(_SUPPOSED) >= MOST_SUPPOSED:
        _SUPPOSED.clear()
    _SUPPOSED[key] = tuple(values)
    return values


def _supposed_key(
    texts: Sequence[str], records: Sequence[Prediction], metrics: Sequence[Metric], task: Task
) -> str:
    """A hash of what the trivial values depend on; no answer of a model is among it."""
    digest = sha256("\n".join(f"{m.name} {m.signature(task)}" for m in metrics).encode())
    digest.update(repr((task.task, task.answered_by, task.labels)).encode())
    for text, record in zip(texts, records, strict=True):
        asked = (text, record["id"], record.get("references"), record["reference"])
        digest.update(repr((*asked, record.get("gold"), record.get("label"))).encode())
    return digest.hexdigest()


def mean_value(
    records: list[Prediction],
    name: str,
    *,
    category: str | None = None,
    signature: str | None = None,
    higher_is_better: bool | None = None,
) -> Value:
    """The mean of the per-example score ``name``, over the records that have one.

    Args:
        records: Scored records.
        name: The score. Its unit and direction are the registry's.
        category: What the value is of, if not of all records.
        signature: How the score was computed.
        higher_is_better: The direction of a score that the registry does not know.
    """
    known = find(name)
    scored = [r for r in records if name in r["scores"]]
    numbers = [r["scores"][name] for r in scored]
    direction = known.higher_is_better if known else higher_is_better
    low, high = interval(numbers, groups_of(scored))
    return Value(
        name, math.fsum(numbers) / len(numbers), known.unit if known else "", direction,
        len(numbers), low, high, category, signature,
    )  # fmt: skip


def interval(
    numbers: Sequence[float], clusters: Sequence[str] | None
) -> tuple[float | None, float | None]:
    """Wilson for proportions, of fewer examples where groups repeat; else clustered t or BCa.

    Scores between 0 and 1 have a mean between 0 and 1: no interval of theirs leaves these bounds.
    """
    from harness.statistics import (
        Interval,
        bca,
        clustered_share,
        clustered_t,
        wilson,
        wilson_share,
    )

    if len(numbers) < 2:
        return None, None
    groups = len(set(clusters)) if clusters else len(numbers)
    repeated = clusters if clusters and groups < len(clusters) else None
    if groups < 2:
        return None, None
    values = set(numbers)
    if values <= {0.0, 1.0}:
        right = int(sum(numbers))
        found = clustered_share(numbers, repeated) if repeated else wilson(right, len(numbers))
    elif len(values) == 1 and 0.0 <= numbers[0] <= 1.0:
        # equal scores leave an interval without width; of all from 0 to 1, shares vary most
        found = wilson_share(numbers[0], groups)
    elif repeated:
        found = clustered_t(numbers, repeated)
    else:
        found = bca(numbers)
    if repeated and all(0.0 <= number <= 1.0 for number in values):  # t intervals know no bounds
        found = Interval(max(0.0, found.low), min(1.0, found.high))
    return float(found.low), float(found.high)


def confusion_record(records: list[Prediction], labels: tuple[str, ...]) -> ConfusionMatrix:
    """Counts with gold labels as rows and predicted labels, then `unparsed`, as columns."""
    columns = [*labels, None]
    matrix = tuple(
        tuple(sum(r["label"] == g and r["predicted_label"] == p for r in records) for p in columns)
        for g in labels
    )
    return ConfusionMatrix(labels, matrix)
