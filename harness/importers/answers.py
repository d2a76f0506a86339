"""Your own answers: a table of prompts, references and predictions, scored by our own metrics.

A row is one model's answer to one prompt. Several models stand in one file under a `model` column,
or in a file each, whose name is then the model's. The same `id` means the same example: models are
compared on the ids that both answered. What is wrong is refused with its count and the first rows
that it concerns; what is left out is counted and said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.datasets.example import digest
from harness.datasets.table_file import kind_of, read_table
from harness.datasets.values import text_of
from harness.errors import HarnessError
from harness.importers.imported import Imported
from harness.metrics.classification import parse_label
from harness.metrics.numbers import gold_decimal
from harness.metrics.prediction import Prediction
from harness.metrics.registry import default_primary
from harness.plan.task import Task
from harness.registry import did_you_mean
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.scoring import score_records
from harness.suite.schema import BASE, Evaluation

FIELDS = (
    "id", "model", "prompt", "reference", "prediction", "gold", "label", "category", "group",
    "adapter", "quantization", "dataset", "seed",
)  # fmt: skip
"""What a column can be. Without `--columns` a column is what its name says."""
SHOWN = 5
"""Ids and rows that a message names."""
Axes = tuple[str, str, str, str, int | None]


@dataclass(frozen=True)
class Reading:
    """How a table of answers is read."""

    columns: dict[str, str] = field(default_factory=dict)
    """Field → the table's column, where they are not called alike."""
    labels: tuple[str, ...] = ()
    """The labels of a classification set, in the order of the confusion matrix."""
    dataset: str = "answers"
    """The data set's name, where no column says it."""
    language: Literal["en", "ru"] = "en"
    """The language of number formats."""
    metric: str | None = None
    """The metric shown first; default: macro-F1 for labels, numeric accuracy for numbers, else
    ROUGE-L."""
    baseline: str | None = None
    """The model that the others are compared with; default: the first."""


@dataclass(frozen=True)
class Answers:
    """The cells that a table of answers became, and what is to be said of them."""

    cells: tuple[Imported, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    fields: dict[str, str]
    where: str
    source: Path


def recognises(path: Path) -> bool:
    """Whether ``path`` is named as a table."""
    return kind_of(path.name) is not None


def read(paths: Sequence[Path], reading: Reading) -> Answers:
    """One cell per model (adapter, quantization, data set, seed) of the tables in ``paths``.

    Raises:
        HarnessError: a column is missing, an id has two answers, a label is not declared, or two
            models were asked different things under one id; every problem at once.
    """
    rows = [row for path in paths for row in _rows(path, reading)]
    if not rows:
        raise HarnessError("no row to import", where=", ".join(map(str, paths)))
    _check_labels(rows, reading, paths)
    notes: list[str] = []
    problems: list[str] = []
    records = _records(rows, reading, problems, notes)
    problems += _contradictions(records)
    if problems:
        where = ", ".join(map(str, paths[:SHOWN]))
        raise HarnessError("; ".join(problems), where=where)
    records = _baseline_first(records, reading.baseline)
    notes += _unequal_ids(records)
    cells = [_cell(axes, found, reading, rows) for axes, found in records.items()]
    return Answers(tuple(cells), tuple(notes))


def _rows(path: Path, reading: Reading) -> list[_Row]:
    table = read_table(path)
    columns = _columns(path, table.columns, reading)
    found = []
    for index, row in enumerate(table.rows):
        fields = {
            name: text_of(row.get(column), column, table.place(index))
            for name, column in columns.items()
        }
        fields.setdefault("model", path.stem)
        found.append(_Row(fields, f"row {index + 1}", path))
    return found


def _columns(path: Path, present: Sequence[str], reading: Reading) -> dict[str, str]:
    """Field → column of one file.

    Raises:
        HarnessError: a field is unknown, or a column that is named or needed is not there.
    """
    problems = [
        f'no field "{name}" ({did_you_mean(name, FIELDS)})'
        for name in reading.columns
        if name not in FIELDS
    ]
    wanted = {**{name: name for name in FIELDS if name in present}, **reading.columns}
    problems += [
        f'no column "{column}" for {name} ({did_you_mean(column, present)})'
        for name, column in wanted.items()
        if column not in present
    ]
    needed = ["prompt", "prediction"]
    if not {"reference", "gold", "label"} & set(wanted):
        needed.append("label" if reading.labels else "reference")
    problems += [f"no column for {name}" for name in needed if name not in wanted]
    if problems:
        shown = ", ".join(present) or "none"
        hint = f"Columns: {shown}. Name them: --columns prompt=question,prediction=output"
        raise HarnessError("; ".join(problems), where=str(path), hint=hint)
    return wanted


def _check_labels(rows: Sequence[_Row], reading: Reading, paths: Sequence[Path]) -> None:
    """Labels are declared, not gathered: one that no row has would change every macro-F1."""
    found = sorted({row.fields["label"].strip() for row in rows if "label" in row.fields})
    if found and not reading.labels:
        hint = f"Declare them, in the order of the confusion matrix: --labels {','.join(found[:9])}"
        raise HarnessError("a `label` column needs --labels", where=str(paths[0]), hint=hint)


def _records(
    rows: Sequence[_Row], reading: Reading, problems: list[str], notes: list[str]
) -> dict[Axes, dict[str, Prediction]]:
    """Cell → example id → record; problems and notes of what is dropped go to their lists."""
    found: dict[Axes, dict[str, Prediction]] = {}
    counts: dict[str, list[str]] = {}
    for row in rows:
        record = _record(row, reading, counts)
        axes = _axes(row, reading, counts)
        mine = found.setdefault(axes, {})
        former = mine.setdefault(record["id"], record)
        if former is not record:
            same = all(former[key] == record[key] for key in ("prediction", "data_hash"))
            kind = "repeated" if same else "conflicting"
            counts.setdefault(kind, []).append(f"{record['id']} of {axes[0]}")
    problems += [
        f"{len(places)} {PROBLEMS[kind]} ({_first(places)})"
        for kind, places in counts.items()
        if kind in PROBLEMS
    ]
    notes += [
        f"{len(places)} {NOTES[kind]} ({_first(places)})"
        for kind, places in counts.items()
        if kind in NOTES
    ]
    return found


PROBLEMS = {
    "no id": "rows have no id",
    "no prompt": "rows have no prompt",
    "no reference": "rows have no reference",
    "no model": "rows have no model",
    "gold": "gold answers are no number",
    "label": "labels are not among the declared ones",
    "seed": "seeds are no whole number",
    "conflicting": "ids have two different answers of one model: a `seed` column tells repeated"
    " answers apart",
}
NOTES = {
    "repeated": "rows repeat another of the same model and were dropped",
    "empty": "rows have no prediction: they count as empty answers",
}


def _first(places: Sequence[str]) -> str:
    more = f", … {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


def _record(row: _Row, reading: Reading, counts: dict[str, list[str]]) -> Prediction:
    """A prediction record as `harness run` writes one, unscored."""
    fields = row.fields
    for name in ("id", "model", "prompt"):
        if name in fields and not fields[name].strip():
            counts.setdefault(f"no {name}", []).append(_place(row))
    label = fields.get("label", fields.get("reference", "")).strip()
    gold = _gold(fields.get("gold", ""), reading, row, counts)
    reference = fields.get("reference") or label or fields.get("gold", "")
    if not reference.strip():
        counts.setdefault("no reference", []).append(_place(row))
    if not fields["prediction"].strip():
        counts.setdefault("empty", []).append(_place(row))
    prompt = fields["prompt"]
    record: Prediction = {
        # without ids, the same question with the same answer is the same example
        "id": fields["id"].strip() if "id" in fields else digest(prompt, reference),
        "prompt": prompt,
        "example_prompt": prompt,
        "reference": reference,
        "prediction": fields["prediction"],
        "finish_reason": "unknown",
        "data_hash": digest(prompt, reference, gold, label if reading.labels else None),
        "prompt_hash": digest(prompt),
        "answered_by": "generation",
        "category": fields.get("category") or None,
        "group": fields.get("group") or None,
        "gold": gold,
        "scores": {},
    }
    if reading.labels:
        if label not in reading.labels:
            counts.setdefault("label", []).append(f'{_place(row)}: "{label}"')
        record |= {"label": label, "reference": label}
        record["predicted_label"] = parse_label(record["prediction"], reading.labels)
    return record


def _place(row: _Row) -> str:
    return f"{row.source.name}, {row.where}"


def _gold(text: str, reading: Reading, row: _Row, counts: dict[str, list[str]]) -> str | None:
    """The gold number as a plain decimal string."""
    if not text.strip():
        return None
    number = gold_decimal(text, reading.language)
    if number is None:
        counts.setdefault("gold", []).append(f'{_place(row)}: "{text}"')
    return number


def _axes(row: _Row, reading: Reading, counts: dict[str, list[str]]) -> Axes:
    fields = row.fields
    text = fields.get("seed", "").strip()
    seed = None
    if text:
        try:
            seed = int(float(text)) if float(text).is_integer() else int(text)
        except ValueError:
            counts.setdefault("seed", []).append(f'{_place(row)}: "{text}"')
    return (
        fields["model"].strip(), fields.get("quantization") or "none",
        fields.get("adapter") or BASE, fields.get("dataset") or reading.dataset, seed,
    )  # fmt: skip


def _contradictions(records: dict[Axes, dict[str, Prediction]]) -> list[str]:
    """Ids under which two models were asked, or are scored against, different things."""
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
        f"{len(places)} ids stand for different {what} ({_first(places)}): give each example an id"
        " of its own"
        for what, places in differ.items()
    ]


def _baseline_first(
    records: dict[Axes, dict[str, Prediction]], baseline: str | None
) -> dict[Axes, dict[str, Prediction]]:
    models = list(dict.fromkeys(axes[0] for axes in records))
    if baseline is not None and baseline not in models:
        raise HarnessError(f'no model "{baseline}"', hint=did_you_mean(baseline, models))
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
                f"{dataset}: {len(shared)} of {len(whole)} examples were answered by every model"
                f" ({who}); pairs are compared on what both answered, and means are not ranked"
            )
    return notes


def _short(axes: Axes) -> str:
    """What tells a cell from the others of its data set."""
    parts = (axes[0], axes[1] if axes[1] != "none" else "", axes[2] if axes[2] != BASE else "")
    return ", ".join([*(part for part in parts if part), *([f"seed {axes[4]}"] if axes[4] else [])])


def _cell(
    axes: Axes, found: dict[str, Prediction], reading: Reading, rows: Iterable[_Row]
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
