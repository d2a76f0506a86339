"""Accuracy, F1, precision and recall over exactly the declared labels; an unparsed answer is wrong.

Except for accuracy they are not means of example scores: their intervals, differences and p-values
resample the whole value (`harness.statistics.macro_f1`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.metrics.classification import ClassScores, confusion, per_class
from harness.metrics.prediction import Prediction
from harness.metrics.record import (
    Clusters,
    Limits,
    Metric,
    Pairs,
    Place,
    ScoredTask,
)
from harness.metrics.registry import metric, register

if TYPE_CHECKING:
    from harness.statistics import CorpusDifference

_VERSION = 2
"""Raise it when the label of the same answer is read differently."""


def _settings(task: ScoredTask) -> str:
    return f"labels:{','.join(task.labels)}|unparsed:wrong"


_SHOWN: tuple[Place, ...] = ("leaderboard", "card")


@metric(
    "accuracy",
    unit="share",
    higher_is_better=True,
    reads="label",
    takes="record",
    settings=_settings,
    version=_VERSION,
    shown=_SHOWN,
    trivial=("majority", "test_majority"),
)
def accuracy(record: Prediction, _: ScoredTask) -> float:
    """1.0 if the predicted label is the gold one."""
    return float(record["predicted_label"] == record["label"])


def _gold(records: Sequence[Prediction]) -> list[str]:
    return [record["label"] for record in records]


def _predicted(records: Sequence[Prediction]) -> list[str | None]:
    return [record["predicted_label"] for record in records]


class _OverLabels:
    """A value made of the per-class scores, and resampled as a whole."""

    def __init__(self, name: str, combine: Callable[[Sequence[ClassScores]], float]) -> None:
        self.name = name
        self.combine = combine

    def value(self, records: Sequence[Prediction], labels: Sequence[str]) -> float | None:
        """The value over the declared labels; None without labels or records."""
        if not records or not labels:
            return None
        matrix = confusion(_predicted(records), _gold(records), labels)
        return self.combine(list(per_class(matrix).values()))

    def interval(
        self, records: Sequence[Prediction], labels: Sequence[str], *, clusters: Clusters
    ) -> Limits:
        """The BCa interval."""
        from harness.statistics import LABEL_STATISTICS, macro_f1_interval

        found = macro_f1_interval(
            _gold(records), _predicted(records), labels, clusters=clusters,
            of=LABEL_STATISTICS[self.name],
        )  # fmt: skip
        return Limits(*found)

    def difference(
        self, pairs: Pairs, labels: Sequence[str], *, clusters: Clusters, confidence: float
    ) -> CorpusDifference:
        """Paired over examples; several seeds are crossed with them by jackknife pseudo-values."""
        from harness.statistics import LABEL_STATISTICS, macro_f1_crossed, macro_f1_difference

        of = LABEL_STATISTICS[self.name]
        gold, before, after = _sides(pairs)
        found = macro_f1_difference(
            gold, before[0], after[0], labels, clusters=clusters, confidence=confidence, of=of
        )
        if len(pairs) == 1:
            return found
        crossed = macro_f1_crossed(
            gold, before, after, labels, clusters=clusters, confidence=confidence, of=of
        )
        # without any spread the crossed interval has no width: examples alone are less certain
        low, high = (crossed if crossed.standard_error > 0 else found)[1:3]
        return found._replace(
            delta=crossed.delta, low=low, high=high, p_value=crossed.p_value,
            test="crossed seeds, jackknife", per_seed=tuple(crossed.per_seed),
        )  # fmt: skip

    def pseudo_values(self, pairs: Pairs, labels: Sequence[str]) -> Sequence[Sequence[float]]:
        """Jackknife pseudo-values of the difference, for each pair."""
        from harness.statistics import LABEL_STATISTICS, macro_f1_influence

        of = LABEL_STATISTICS[self.name]
        gold, before, after = _sides(pairs)
        sides = zip(before, after, strict=True)
        return [macro_f1_influence(gold, b, a, labels, of=of).tolist() for b, a in sides]

    def p_value(
        self, pairs: Pairs, labels: Sequence[str], *, clusters: Clusters, resamples: int
    ) -> float:
        """By swaps of predictions within examples; of several seeds by the crossed variance."""
        from harness.statistics import LABEL_STATISTICS, macro_f1_crossed, macro_f1_swap

        of = LABEL_STATISTICS[self.name]
        gold, before, after = _sides(pairs)
        if len(pairs) > 1:
            crossed = macro_f1_crossed(gold, before, after, labels, clusters=clusters, of=of)
            return crossed.p_value
        return macro_f1_swap(
            gold, before[0], after[0], labels, clusters=clusters, resamples=resamples, of=of
        )


class _Sides(NamedTuple):
    """Gold labels, and what either side answered in each pair of seeds."""

    gold: list[str]
    before: list[list[str | None]]
    after: list[list[str | None]]


def _sides(pairs: Pairs) -> _Sides:
    before, after = ([_predicted(side) for side in sides] for sides in zip(*pairs, strict=True))
    return _Sides(_gold(pairs[0][0]), before, after)


def _mean(take: Callable[[ClassScores], float]) -> Callable[[Sequence[ClassScores]], float]:
    return lambda scores: sum(take(score) for score in scores) / len(scores)


def _weighted_f1(scores: Sequence[ClassScores]) -> float:
    """F1 weighted by the classes' gold counts."""
    return sum(s.f1 * s.support for s in scores) / sum(s.support for s in scores)


register(
    Metric(
        name="f1_macro", unit="F1", higher_is_better=True, reads="label",
        settings=_settings, version=_VERSION, corpus=_OverLabels("f1_macro", _mean(lambda s: s.f1)),
        per_example="accuracy", shown=_SHOWN,
        trivial=("majority", "test_majority"), primary_of="classification",
    )
)  # fmt: skip
for _name, _unit, _combine in (
    ("f1_weighted", "F1", _weighted_f1),
    ("precision_macro", "share", _mean(lambda s: s.precision)),
    ("recall_macro", "share", _mean(lambda s: s.recall)),
):
    register(
        Metric(
            name=_name, unit=_unit, higher_is_better=True, reads="label",
            settings=_settings, version=_VERSION, corpus=_OverLabels(_name, _combine),
            per_example="accuracy",
        )
    )  # fmt: skip
