"""The metrics that a suite's gate names: a misspelt one would be found only by `harness check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.metrics.registry import registered
from harness.registry import did_you_mean
from harness.suite.gate_rules import PREDICTIONS, PRIMARY
from harness.suite.metric_entry import MetricEntry
from harness.suite.schema import DatasetEntry, Suite
from harness.suite.yaml_file import YamlFile


def gate_problems(suite: Suite, file: YamlFile) -> list[str]:
    """Each rule whose metric is none of the harness's nor of the suite's own."""
    entries = [entry for entry in suite.matrix.dataset if isinstance(entry, DatasetEntry)]
    if any(entry.lm_eval_task for entry in entries):
        return []  # a task of lm-evaluation-harness brings names of its own
    known = {PRIMARY, PREDICTIONS, *(metric.name for metric in registered())}
    known.update(*(metric.names() for metric in suite.evaluation.metrics))
    for entry in entries:
        known.add(entry.primary_metric or PRIMARY)
        known.update(*(metric.names() for metric in _extra(entry.evaluation)))
    problems = []
    for number, rule in enumerate(suite.gate.rules):
        if rule.metric not in known:
            place = file.place(["gate", "rules", number, "metric"])
            what = f'there is no metric "{rule.metric}". {did_you_mean(rule.metric, known)}'
            problems.append(f"{place}: {what}")
    return problems


def _extra(evaluation: Mapping[str, Any]) -> Iterator[MetricEntry]:
    """The metrics of a data set's own `evaluation`; those that are wrong are named elsewhere."""
    try:
        yield from TypeAdapter(tuple[MetricEntry, ...]).validate_python(
            evaluation.get("metrics", ())
        )
    except ValidationError:
        return
