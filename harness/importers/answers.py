"""Your own answers: a table of prompts, references and predictions, scored by our own metrics.

A row is one model's answer to one prompt. Several models can be in one file with a `model` column,
or in one file each, named after the model. The same `id` means the same example: models are
compared on the ids that both answered. Mistakes are reported together, with counts and the first
rows. Rows that are left out are counted in a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.counting import agreeing, counted
from harness.datasets.table_file import kind_of
from harness.errors import HarnessError
from harness.importers.answer_rows import (
    SHOWN,
    Axes,
    Reading,
    Row,
    check_labels,
    first_places,
    read_rows,
    records_of,
)
from harness.importers.imported import Imported
from harness.metrics.prediction import Prediction
from harness.metrics.registry import default_primary
from harness.plan.task import Task
from harness.registry import did_you_mean
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.scoring import score_records
from harness.suite.schema import BASE, Evaluation


@dataclass(frozen=True)
class Answers:
    """The cells that a table of answers became, and what is to be said of them."""

    cells: tuple[Imported, ...]
    notes: tuple[str, ...]


def recognises(path: Path) -> bool:
    """Whether ``path`` is named as a table."""
    return kind_of(path.name) is not None


def read(paths: Sequence[Path], reading: Reading) -> Answers:
    """One cell per model (adapter, quantization, data set, seed) of the tables in ``paths``.

    Raises:
        HarnessError: a column is missing, an id has two answers, a label is not declared, or two
            models were asked different things under one id; every problem at once.
    """
    rows = [row for path in paths for row in read_rows(path, reading)]
    if not rows:
        raise HarnessError("the table has no rows", where=", ".join(map(str, paths)))
    check_labels(rows, reading, paths)
    notes: list[str] = []
    problems: list[str] = []
    records = records_of(rows, reading, problems, notes)
    problems += _contradictions(records)
    if problems:
        where = ", ".join(map(str, paths[:SHOWN]))
        raise HarnessError("; ".join(problems), where=where)
    records = _baseline_first(records, reading.baseline)
    notes += _unequal_ids(records)
    cells = [_cell(axes, found, reading, rows) for axes, found in records.items()]
    return Answers(tuple(cells), tuple(notes))


def _contradictions(records: dict[Axes, dict[str, Prediction]]) -> list[str]:
    """Ids for which two models have different prompts or references."""
    first: dict[tuple[str, str], tuple[str, Prediction]] = {}
    differ: dict[str, list[str]] = {}
    for axes, found in records.items():
        for example, record in found.items():
            model, former = first.setdefault((axes[3], example), (axes[0], record))
            place = f"{example}: {model} and {axes[0]}"
            if former["prompt"] != record["prompt"]:
                differ.setdefault("prompts", []).append(place)
            elif former["data_hash"] != record["data_hash"]:
                differ.setdefault("references", []).append(place)
    return [
        f"{counted(len(places), 'id has', 'ids have')} different {what} in two models"
        f" ({first_places(places)}): give each example its own id"
        for what, places in differ.items()
    ]


def _baseline_first(
    records: dict[Axes, dict[str, Prediction]], baseline: str | None
) -> dict[Axes, dict[str, Prediction]]:
    models = list(dict.fromkeys(axes[0] for axes in records))
    if baseline is not None and baseline not in models:
        raise HarnessError(f'unknown model "{baseline}"', hint=did_you_mean(baseline, models))
    return dict(sorted(records.items(), key=lambda item: item[0][0] != baseline))


def _unequal_ids(records: dict[Axes, dict[str, Prediction]]) -> list[str]:
    """A note for each data set whose models answered different examples."""
    notes = []
    for dataset in dict.fromkeys(axes[3] for axes in records):
        sides = {axes: set(found) for axes, found in records.items() if axes[3] == dataset}
        whole = set[str]().union(*sides.values())
        shared = whole.intersection(*sides.values())
        if shared != whole:
            lacking = Counter({_short(axes): len(whole - ids) for axes, ids in sides.items()})
            who = ", ".join(f"{name} lacks {n}" for name, n in lacking.items() if n)
            notes.append(
                f"{dataset}: {len(shared)} of {counted(len(whole), 'example')}"
                f" {agreeing(len(shared), 'was', 'were')} answered by every model ({who}); pairs"
                " are compared on what both answered, and means are not ranked"
            )
    return notes


def _short(axes: Axes) -> str:
    """The axes that distinguish a cell from the others of its data set."""
    parts = (axes[0], axes[1] if axes[1] != "none" else "", axes[2] if axes[2] != BASE else "")
    return ", ".join([*(part for part in parts if part), *([f"seed {axes[4]}"] if axes[4] else [])])


def _cell(
    axes: Axes, found: dict[str, Prediction], reading: Reading, rows: Iterable[Row]
) -> Imported:
    model, quantization, adapter, dataset, seed = axes
    records = list(found.values())
    kind = "classification" if reading.labels else "generation"
    task = Task(kind, reading.language, reading.labels, Evaluation())
    score_records(records, task)
    values = tuple(aggregate(records, task))
    known = {value.metric for value in values}
    if reading.metric is not None and reading.metric not in known:
        hint = did_you_mean(reading.metric, known)
        raise HarnessError(f'{model}: no metric "{reading.metric}" was scored', hint=hint)
    source = next(row.source for row in rows if row.fields["model"].strip() == model)
    return Imported(
        model, quantization, adapter, dataset, seed,
        primary_metric=reading.metric or _primary(records, reading),
        source=source,
        values=values,
        records=records,
        task=task,
        confusion=confusion_record(records, reading.labels) if reading.labels else None,
    )  # fmt: skip


def _primary(records: Sequence[Prediction], reading: Reading) -> str:
    if reading.labels:
        return default_primary("classification")
    return "numeric_accuracy" if any(r["gold"] is not None for r in records) else "rougeL"
