"""Metrics of lm-evaluation-harness: what a sample's value is, and how it becomes the task's.

Most values are scores whose mean counts. Not all are: `perplexity` of lambada logs the
log-likelihood of each answer and is exp(−mean); `word_perplexity` logs (log-likelihood, words)
and is exp(−Σ / Σ); `bleu` logs the two texts. The results file names each metric's aggregation. One
that is no mean has no score per example but the negative log-likelihood that it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from harness.counting import agreeing, counted
from harness.datasets.lm_eval_yaml import AGGREGATIONS
from harness.importers.foreign import is_number, mapping, rows
from harness.metrics.prediction import Prediction
from harness.results.result import Value
from harness.scoring.aggregation import mean_value

NLL = "nll"
"""Per example, in nats: what perplexities are computed from. Lower is better."""
DIRECTIONS = {
    "acc": True, "acc_norm": True, "acc_mutual_info": True, "exact_match": True, "em": True,
    "f1": True, "mcc": True, "bleu": True, "chrf": True, "ter": False, "perplexity": False,
    "word_perplexity": False, "byte_perplexity": False, "bits_per_byte": False,
    "brier_score": False, "mae": False, NLL: False,
}  # fmt: skip
"""Direction by name, where no results file says it: those of lm-evaluation-harness itself."""
CLOSE = 1e-6
"""How far, relative to it, the tool's own number may lie from ours and be the same."""


class Scored(NamedTuple):
    """A document's record, and what the log holds of one metric for it."""

    record: Prediction
    logged: Any


class _Found(NamedTuple):
    """A metric's value, and the scores per example that it was computed from."""

    value: float
    scores: list[float | None]
    per_example: str


def values_of(
    task: str,
    records: list[Prediction],
    samples: Mapping[str, Sequence[Scored]],
    results: Mapping[str, Any],
) -> list[Value]:
    """The task's values; the scores per example are written into ``records``.

    Args:
        task: The task's name in the results file.
        records: Every document's record.
        samples: Metric (and filter) → what was logged for each document.
        results: The results file; empty where there is none.
    """
    found: list[Value] = []
    for name, logged in samples.items():
        metric = name.partition(",")[0]
        found += (
            _values(_Metric(task, name, results), records, logged) if metric != "bypass" else ()
        )
    if any(NLL in record["scores"] for record in records):
        found.append(mean_value(records, NLL, signature=f"{NLL}|lm_eval|{task}"))
        found[-1] = _directed(found[-1], False, "nats")
    return found


class _Metric(NamedTuple):
    """One metric of one task, and what the results file says of it."""

    task: str
    name: str
    results: Mapping[str, Any]

    @property
    def plain(self) -> str:
        """The name without its filter."""
        return self.name.partition(",")[0]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The metric's entry in the task's configuration."""
        config = mapping(mapping(self.results.get("configs")).get(self.task))
        entries = [mapping(entry) for entry in rows(config.get("metric_list"))]
        return next((entry for entry in entries if entry.get("metric") == self.plain), {})

    @property
    def aggregation(self) -> str:
        """How the values of all documents become the task's; `mean` where nothing else is known."""
        given = self.settings.get("aggregation")
        return str(given or AGGREGATIONS.get(self.plain, "mean"))

    @property
    def higher_is_better(self) -> bool | None:
        """The direction: the results file's, else the tool's own; None where nobody says."""
        stated = mapping(mapping(self.results.get("higher_is_better")).get(self.task))
        for said in (stated.get(self.plain), self.settings.get("higher_is_better")):
            if isinstance(said, bool):
                return said
        return DIRECTIONS.get(self.plain)

    @property
    def stated(self) -> float | None:
        """The task's value as the tool computed it."""
        own = mapping(mapping(self.results.get("results")).get(self.task))
        chosen = self.name.partition(",")[2] or "none"
        value = own.get(f"{self.plain},{chosen}")
        return float(value) if is_number(value) else None

    @property
    def is_ours(self) -> bool:
        """Whether our own scores were exported: one that is missing is of another kind of example.

        A question without a number in its answer has no `numeric_accuracy`.
        """
        return "harness" in self.results and "lm_eval_version" not in self.results

    @property
    def signature(self) -> str:
        """How it was computed: by the tool, in the task's version."""
        version = mapping(self.results.get("versions")).get(self.task)
        return f"{self.name}|lm_eval|{self.task}" + ("" if version is None else f"|v:{version}")


def _values(metric: _Metric, records: list[Prediction], logged: Sequence[Scored]) -> list[Value]:
    reader = READERS.get(metric.aggregation)
    found = reader(metric, logged) if reader else None
    if found is None:
        return _stated_alone(metric, len(records))
    for sample, score in zip(logged, found.scores, strict=True):
        if score is not None:
            sample.record["scores"][found.per_example] = score
    if found.per_example != metric.name:
        value = Value(metric.name, found.value, n=len(records), signature=metric.signature)
        return [_noted(_directed(value, metric.higher_is_better), metric, ())]
    missing = _count_missing(metric, records)
    value = mean_value(records, metric.name, signature=metric.signature)
    return [_noted(_directed(value, metric.higher_is_better, value.unit), metric, missing)]


def _count_missing(metric: _Metric, records: list[Prediction]) -> tuple[str, ...]:
    """A note on documents without a score; of right or wrong answers they count as wrong.

    281 right of 491 scored documents of 496 are 281/496: an answer that could not be scored is
    none that was right. Other scores have no worst value that could stand for a missing one.
    """
    lacking = [r for r in records if metric.name not in r["scores"]]
    scores = {r["scores"][metric.name] for r in records if metric.name in r["scores"]}
    if not lacking:
        return ()
    what = f"{len(lacking)} of {counted(len(records), 'document')}"
    what += agreeing(len(lacking), " has no score", " have no score")
    if scores <= {0.0, 1.0} and metric.higher_is_better and not metric.is_ours:
        for record in lacking:
            record["scores"][metric.name] = 0.0
        return (f"{what} and {agreeing(len(lacking), 'counts', 'count')} as wrong",)
    return (f"{what} and {agreeing(len(lacking), 'is', 'are')} left out",)


def _noted(value: Value, metric: _Metric, notes: Sequence[str]) -> Value:
    """``value`` with what a reader has to know, the tool's own number where it differs."""
    said, ours = metric.stated, value.value
    found = list(notes)
    if said is not None and ours is not None and abs(said - ours) > CLOSE * max(1.0, abs(said)):
        found.append(f"the results file says {said:.6g}")
    return replace(value, note="; ".join(found)) if found else value


def _directed(value: Value, direction: bool | None, unit: str = "") -> Value:
    return replace(value, higher_is_better=direction, unit=unit)


def _stated_alone(metric: _Metric, documents: int) -> list[Value]:
    """The tool's own number of a metric that is no mean of what the log holds."""
    if metric.stated is None:
        return []
    note = f"aggregated by {metric.aggregation}: no score per example is kept"
    value = Value(metric.name, metric.stated, n=documents, signature=metric.signature, note=note)
    return [_directed(value, metric.higher_is_better)]


def _mean(metric: _Metric, logged: Sequence[Scored]) -> _Found | None:
    scores = [float(s.logged) if is_number(s.logged) else None for s in logged]
    known = [score for score in scores if score is not None]
    return _Found(math.fsum(known) / len(known), scores, metric.name) if known else None


def _perplexity(metric: _Metric, logged: Sequence[Scored]) -> _Found | None:
    """Exp of the mean negative log-likelihood of an answer."""
    nll = [-float(s.logged) if is_number(s.logged) else None for s in logged]
    known = [value for value in nll if value is not None]
    return _Found(_exp(math.fsum(known) / len(known)), nll, NLL) if known else None


def _weighted(finish: Callable[[float], float]) -> Callable[..., _Found | None]:
    """Sums of log-likelihoods over sums of words or bytes, and what is made of the ratio."""

    def read(metric: _Metric, logged: Sequence[Scored]) -> _Found | None:
        pairs = [_pair(s.logged) for s in logged]
        known = [pair for pair in pairs if pair]
        weight = math.fsum(size for _, size in known)
        if not known or weight <= 0:
            return None
        ratio = -math.fsum(value for value, _ in known) / weight
        return _Found(finish(ratio), [-pair[0] if pair else None for pair in pairs], NLL)

    return read


def _pair(logged: Any) -> tuple[float, float] | None:
    if isinstance(logged, list) and len(logged) == 2 and all(map(is_number, logged)):
        return float(logged[0]), float(logged[1])
    return None


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


READERS: dict[str, Callable[[_Metric, Sequence[Scored]], _Found | None]] = {
    "mean": _mean, "nanmean": _mean, "perplexity": _perplexity,
    "weighted_perplexity": _weighted(_exp),
    "bits_per_byte": _weighted(lambda ratio: ratio / math.log(2)),
}  # fmt: skip
"""Aggregation → how the task's value and the scores per example are read from a log."""
