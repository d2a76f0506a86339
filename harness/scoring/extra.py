"""Extra metrics of a suite: Hugging Face `evaluate` modules, called once for each example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.counting import counted
from harness.datasets.file_hash import file_hash
from harness.errors import HarnessError
from harness.extras import need
from harness.metrics.prediction import Prediction
from harness.metrics.record import Metric, ScoredTask, Scores
from harness.metrics.registry import PairScorer, best_of_references, find
from harness.suite.metric_entry import MetricEntry
from harness.suite.schema import Evaluation


def extra_metrics(evaluation: Evaluation) -> Iterator[Metric]:
    """A record for each column of the `evaluate` modules that ``evaluation`` names."""
    for entry in evaluation.metrics:
        if _is_registered(entry):
            continue  # a registered metric: its own record scores it
        facts = {name: _facts(entry, name) for name in entry.names()}
        for direction in dict.fromkeys(up for up, _ in facts.values()):
            # one scorer a direction: with several references the best is the least or the most
            names = [name for name, (up, _) in facts.items() if up == direction]
            scorer = best_of_references(_pair_scorer(entry, names), direction)
            for name in names:
                yield Metric(
                    name=name, unit=facts[name][1], higher_is_better=direction, scorer=scorer,
                    settings=_settings(entry.source),
                )  # fmt: skip


def code_sources(evaluation: Evaluation) -> list[str]:
    """The metrics of ``evaluation`` that are code to be loaded: scoring by them runs it."""
    return [entry.source for entry in evaluation.metrics if not _is_registered(entry)]


def _is_registered(entry: MetricEntry) -> bool:
    known = find(entry.source)
    return known is not None and known.reads != "none"


def _facts(entry: MetricEntry, name: str) -> tuple[bool | None, str]:
    """The direction and the unit of the column ``name``."""
    if entry.keys:
        key = entry.keys[name.removeprefix(f"{entry.label}_")]
        return (None if key.higher_is_better == "neither" else key.higher_is_better), key.unit
    known = find(entry.source)
    direction = entry.higher_is_better
    if direction is None and known:
        return known.higher_is_better, entry.unit or known.unit
    return (None if direction == "neither" else direction), entry.unit


def _settings(source: str) -> str:
    """`evaluate`, and of a local module its hash: an edited one is another metric."""
    path = Path(source)
    return f"evaluate|{file_hash(path)[:12]}" if path.is_file() else "evaluate"


@cache
def _module(source: str, settings: str) -> Any:
    """The module as its file is now: ``settings`` hold its hash, so an edit loads it again."""
    need(f'the metric "{source}"', "evaluate")
    try:
        import evaluate

        return evaluate.load(source)
    except Exception as error:  # whatever a module raises while it is imported
        what = f'the extra metric "{source}" cannot be loaded: {type(error).__name__}: {error}'
        hint = "Give the name of a Hugging Face `evaluate` module, or the path of a local one."
        raise HarnessError(what, where="evaluation.metrics", hint=hint) from error


def _pair_scorer(entry: MetricEntry, names: Sequence[str]) -> PairScorer:
    def score(predictions: Sequence[str], references: Sequence[str], _: ScoredTask) -> list[Scores]:
        module = _module(entry.source, _settings(entry.source))
        found: list[Scores] = []
        for prediction, reference in zip(predictions, references, strict=True):
            given = _computed(entry, module, prediction, reference)
            chosen = _chosen(entry, _numbers(given or {}))
            found.append({name: chosen[name] for name in names})
        return found

    return score


def _computed(entry: MetricEntry, module: Any, prediction: str, reference: str) -> Any:
    """What ``module`` says of one answer.

    Raises:
        HarnessError: whatever it raises, under its name.
    """
    try:
        return module.compute(predictions=[prediction], references=[reference])
    except Exception as error:  # a module may raise anything
        what = f'the extra metric "{entry.source}" raises {type(error).__name__}: {error}'
        hint = "Correct it, then run again: answers that were given are kept, and only scored."
        raise HarnessError(what, where="evaluation.metrics", hint=hint) from error


def _numbers(given: Mapping[str, object]) -> dict[str, float]:
    """The numbers in what a module gave; a list of one number counts, for there is one example."""
    found = {}
    for key, value in given.items():
        inner = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        if hasattr(inner, "item"):  # NumPy's numbers are no Python numbers
            inner = inner.item()
        if isinstance(inner, int | float):
            found[key] = float(inner)
    return found


def _chosen(entry: MetricEntry, numbers: Mapping[str, float]) -> Scores:
    """Column → score of the numbers that the entry keeps."""
    if entry.keys:
        absent = sorted(entry.keys.keys() - numbers.keys())
        if absent:
            what = f'the extra metric "{entry.source}" returns no number "{absent[0]}"'
            raise HarnessError(
                what,
                where="evaluation.metrics",
                hint=f"It returns: {', '.join(numbers) or 'none'}.",
            )
        return {f"{entry.label}_{key}": numbers[key] for key in entry.keys}
    own = entry.source.rstrip("/").rsplit("/", 1)[-1].removesuffix(".py")
    if len(numbers) == 1:
        return {entry.label: next(iter(numbers.values()))}
    if own in numbers:
        return {entry.label: numbers[own]}
    keys = ", ".join(f"{key}: {{higher_is_better: true}}" for key in numbers)
    raise HarnessError(
        f'the extra metric "{entry.source}" gives {counted(len(numbers), "number")}, none under'
        " its own name",
        where="evaluation.metrics",
        hint=f"Choose which to keep: {{source: {entry.source}, keys: {{{keys}}}}}.",
    )


def check_extra_metrics(evaluation: Evaluation, task: ScoredTask) -> None:
    """Load every extra metric and score one example: a mistake shows before anything is trained.

    Raises:
        HarnessError: a module cannot be loaded, or gives other numbers than its entry says.
    """
    example: Prediction = {"prediction": "one two", "reference": "one two"}
    for record in extra_metrics(evaluation):
        if record.scorer and record.applies(task):
            record.scorer([example], task)
