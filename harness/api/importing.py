"""Import results of other tools, or your own answers, as a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import importers
from harness.api.arguments import StrPath, load_run
from harness.api.reports import Report, report
from harness.errors import HarnessError
from harness.plugins import load_plugins
from harness.results.run import Run


@dataclass(frozen=True)
class ImportedRun:
    """An imported run."""

    run: Run
    report: Report
    notes: tuple[str, ...] = ()
    """What was left out, with counts."""


def import_results(
    sources: StrPath | Sequence[StrPath], output: StrPath, *, name: str | None = None
) -> ImportedRun:
    """Import results of other tools as a run in ``output``, and render its reports.

    Known: per-sample logs of lm-evaluation-harness, result files of PEFT's method comparison.

    Args:
        sources: One or several: files, or folders that are searched for them.
        output: The run directory.
        name: The run's name; default: the output folder's.
    """
    load_plugins()
    paths = _paths(sources)
    importers.import_results(paths, Path(output), name=name or Path(output).name)
    return ImportedRun(load_run(output), report(output))


def import_answers(
    sources: StrPath | Sequence[StrPath],
    output: StrPath,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    dataset: str | None = None,
    language: Literal["en", "ru"] = "en",
    metric: str | None = None,
    baseline: str | None = None,
) -> ImportedRun:
    """Import tables of your own answers as a run, score them and render the reports.

    Args:
        sources: One or several: tables (CSV, JSON, JSONL, Parquet), or folders of them.
        output: The run directory.
        name: The run's name; default: the output folder's.
        columns: Field → the table's column: ``{"prompt": "question", "prediction": "output"}``.
        labels: The labels of a classification set, in the order of the confusion matrix.
        dataset: The data set's name; default: the run's.
        language: Of number formats.
        metric: The metric shown first; default: by the kind of answers.
        baseline: The model that others are compared with; default: the first.
    """
    if isinstance(labels, str):
        raise HarnessError("labels: give a list", hint='For example ["negative", "positive"].')
    load_plugins()
    title = name or Path(output).name
    reading = importers.Reading(
        dict(columns or {}), tuple(labels), dataset or title, language, metric, baseline
    )
    paths = _paths(sources)
    found = importers.import_answers(paths, Path(output), reading, name=title)
    return ImportedRun(load_run(output), report(output), tuple(found.notes))


def import_mlflow(
    sources: StrPath | Sequence[StrPath],
    output: StrPath,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    dataset: str | None = None,
    metric: str | None = None,
) -> ImportedRun:
    """Import runs of MLflow as a run in ``output``, and render its reports.

    Args:
        sources: One or several: folders of MLflow (a store, an experiment or a run), or
            ``mlflow:NAME``, an experiment's name or a run's id at `MLFLOW_TRACKING_URI`.
        output: The run directory.
        name: The run's name; default: the output folder's.
        columns: Axis → the parameter that holds it: ``{"model": "base_model"}``; default: the
            axis's own name. Also `prompt`, `reference`, `prediction` and `id` → the column of the
            table that `mlflow.evaluate` logs.
        dataset: The data set's name, where no parameter says it; default: the experiment's.
        metric: The metric shown first.
    """
    load_plugins()
    reading = importers.MlflowReading(dict(columns or {}), dataset, metric)
    texts = [os.fspath(source) for source in _listed(sources)]
    title = name or Path(output).name
    found = importers.import_mlflow(texts, Path(output), reading, name=title)
    return ImportedRun(load_run(output), report(output), tuple(found.notes))


def is_mlflow(source: StrPath) -> bool:
    """Whether ``source`` is of MLflow, for `import_mlflow`."""
    return importers.is_mlflow(os.fspath(source))


def _paths(sources: StrPath | Sequence[StrPath]) -> list[Path]:
    return [Path(source) for source in _listed(sources)]


def _listed(sources: StrPath | Sequence[StrPath]) -> list[StrPath]:
    """``sources`` as a list. A text is one of them, never its letters: "/" would be searched."""
    return [sources] if isinstance(sources, str | os.PathLike) else list(sources)


def is_table(source: StrPath) -> bool:
    """Whether ``source`` is a table of answers, for `import_answers`, and no other tool's file."""
    return importers.is_table(Path(source))
