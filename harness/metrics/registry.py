"""The metric registry: one record a metric, declared in the file that computes it.

A metric of two texts is a function and its record::

    @metric("word_recall", unit="share", higher_is_better=True)
    def word_recall(prediction: str, reference: str) -> float: ...

Everything else that the harness does with a metric (which task it is scored for, its column, its
direction, its signature, whether results of an older version are scored again) follows from the
record. A plug-in registers its metrics in the same way.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeVar

from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import spoken_of
from harness.metrics.record import ORDER, Metric, Place, Reads, ScoredTask, Scorer, Scores
from harness.registry import Registry

TRIVIAL_ANSWERS = {
    "constant": "one constant answer",
    "copied_prompt": "the prompt copied back",
    "majority": "always the most frequent label in training",
    "test_majority": "always the most frequent label in the test set",
}
"""An answer that needs no model → its name in a report."""

METRICS: Registry[Metric] = Registry("metric")
"""Name → record. Read it through `find` and `registered`, which load the shipped metrics first."""
F = TypeVar("F", bound=Callable[..., Any])
Takes = Literal["texts", "pairs", "record"]
PairScorer = Callable[[Sequence[str], Sequence[str], ScoredTask], Sequence[Scores]]
"""Predictions, references and the task → for each pair, metric → score."""


def register(record: Metric) -> Metric:
    """Add ``record``, and a record for each trivial answer that is scored beside it.

    Raises:
        HarnessError: the name is taken.
    """
    if record.name in METRICS:
        hint = "Rename one: results are compared by the metric's name."
        raise HarnessError(f'the metric "{record.name}" is registered twice', hint=hint)
    METRICS.add(record.name, record)
    for answer in record.trivial:
        name = f"{record.name}_{answer}"
        trivial = Metric(
            name=name, unit=record.unit, higher_is_better=None, reads="answer", of=record.name
        )
        METRICS.add(name, trivial)
    return record


def metric(
    *names: str,
    higher_is_better: bool | None,
    takes: Takes = "texts",
    **facts: Any,
) -> Callable[[F], F]:
    """Register the decorated function as the scorer of ``names``; it stays callable as it is.

    Args:
        names: One name, or all that the function gives at once.
        higher_is_better: None if neither direction is better.
        takes: What it is called with. `texts`: prediction and reference, gives the score.
            `pairs`: all predictions, all references and the task, gives name → score of each pair.
            `record`: a record and the task, gives the score or None where it has none.
        facts: Other fields of `Metric`; `PerName` where a field differs among ``names``.
    """

    def declare(function: F) -> F:
        scorer = _scorer(names[0], function, takes, higher_is_better)
        for name in names:
            own = {k: v[name] if isinstance(v, PerName) else v for k, v in facts.items()}
            register(Metric(name=name, higher_is_better=higher_is_better, scorer=scorer, **own))
        return function

    return declare


@dataclass(frozen=True)
class PerName:
    """A field of `metric` that differs among its names."""

    values: Mapping[str, Any]
    default: Any = ()

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, self.default)


def _scorer(
    name: str, function: Callable[..., Any], takes: Takes, higher_is_better: bool | None
) -> Scorer:
    def of_record(records: Sequence[Prediction], task: ScoredTask) -> list[Scores]:
        given = [function(record, task) for record in records]
        return [{} if score is None else {name: float(score)} for score in given]

    def of_texts(
        predictions: Sequence[str], references: Sequence[str], _: ScoredTask
    ) -> list[Scores]:
        return [{name: float(function(p, r))} for p, r in zip(predictions, references, strict=True)]

    if takes == "record":
        return of_record
    return best_of_references(function if takes == "pairs" else of_texts, higher_is_better)


def best_of_references(pairs: PairScorer, higher_is_better: bool | None) -> Scorer:
    """A scorer of records from one of prediction–reference pairs.

    Of several references the best counts, for each metric by itself, as in SQuAD.
    """

    def score(records: Sequence[Prediction], task: ScoredTask) -> list[Scores]:
        accepted = [record.get("references") or [record["reference"]] for record in records]
        if higher_is_better is None and any(len(references) > 1 for references in accepted):
            raise HarnessError(
                "a metric without a direction cannot choose the best of several references",
                hint="Declare its `higher_is_better`, or keep one reference a row.",
            )
        texts = [spoken_of(record) for record in records]
        if all(len(references) == 1 for references in accepted):  # there is nothing to choose
            return list(pairs(texts, [own for (own,) in accepted], task))
        given = iter(
            pairs(
                [t for t, own in zip(texts, accepted, strict=True) for _ in own],
                [reference for own in accepted for reference in own],
                task,
            )
        )
        best = min if higher_is_better is False else max
        found: list[Scores] = []
        for own in accepted:
            sides = [next(given) for _ in own]
            found.append({name: best(side[name] for side in sides) for name in sides[0]})
        return found

    return score


@cache
def _load_shipped() -> None:
    """Import every module of this package: each registers what it computes."""
    package = import_module("harness.metrics")
    for module in pkgutil.iter_modules(package.__path__, "harness.metrics."):
        import_module(module.name)


def find(name: str) -> Metric | None:
    """The record of ``name``; None if no metric of that name is registered."""
    _load_shipped()
    return METRICS.get(name) if name in METRICS else None


def registered() -> list[Metric]:
    """Every record: by what it reads, then by name; measurements as they are declared.

    The order is that of columns and of stored values, so it must not depend on which module was
    imported first: a worker and `harness score` would write other files.
    """
    _load_shipped()
    records = [METRICS.get(name) for name in METRICS.names()]
    return sorted(records, key=_place)


def _place(record: Metric) -> tuple[int, str]:
    return ORDER.index(record.reads), "" if record.reads == "measurement" else record.name


def scored_for(task: ScoredTask) -> list[Metric]:
    """The registered metrics that cells of ``task`` are scored by."""
    named = task.evaluation.named_metrics
    return [r for r in registered() if r.applies(task) and (r.always or r.name in named)]


def shown_in(place: Place, *reads: Reads) -> list[str]:
    """The metrics that ``place`` shows by default, of those that read ``reads`` if given."""
    return [
        record.name
        for record in registered()
        if place in record.shown and (not reads or record.reads in reads)
    ]


def same_hardware() -> list[str]:
    """The measurements that can be compared only on the same hardware."""
    return [record.name for record in registered() if record.same_hardware]


def default_primary(task: str) -> str:
    """The metric that data sets of ``task`` are ordered by unless they name another."""
    return next(record.name for record in registered() if record.primary_of == task)


def example_metric(name: str) -> str:
    """The metric whose per-example scores stand for ``name``: itself unless it is a corpus's."""
    record = find(name)
    return record.per_example if record and record.per_example else name


def direction_of(name: str, stored: Mapping[str, bool | None] | None = None) -> bool | None:
    """Whether a higher ``name`` is better; None if neither is, or if it is not declared.

    Args:
        name: A metric.
        stored: Directions of unregistered metrics, as stored in result files.
    """
    record = find(name)
    return record.higher_is_better if record else (stored or {}).get(name)
