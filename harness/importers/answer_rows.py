"""The rows of a table of answers: its columns, and each row as an unscored prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.counting import counted
from harness.datasets.example import digest
from harness.datasets.table_file import read_table
from harness.datasets.text_encoding import WrongEncoding
from harness.datasets.values import text_of
from harness.errors import HarnessError
from harness.metrics.classification import parse_label
from harness.metrics.numbers import gold_decimal
from harness.metrics.prediction import Prediction
from harness.registry import did_you_mean
from harness.suite.schema import BASE

FIELDS = (
    "id", "model", "prompt", "reference", "prediction", "gold", "label", "category", "group",
    "adapter", "quantization", "dataset", "seed",
)  # fmt: skip
"""The fields. Without `--columns`, a column of one of these names is that field."""
SHOWN = 5
"""How many ids or rows a message lists."""
Axes = tuple[str, str, str, str, int | None]
"""Model, quantization, adapter, data set and seed."""


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
class Row:
    """A row of a table."""

    fields: dict[str, str]
    where: str
    source: Path


def read_rows(path: Path, reading: Reading) -> list[Row]:
    """The rows of the table in ``path``, by field."""
    try:
        table = read_table(path)
    except WrongEncoding as error:
        looks = f"It looks like {error.likely}. " if error.likely else ""
        hint = f"{looks}Save the file as UTF-8."
        raise HarnessError(error.what, where=error.where, hint=hint) from None
    columns = _columns(path, table.columns, reading)
    found = []
    for index, row in enumerate(table.rows):
        fields = {
            name: text_of(row.get(column), column, table.place(index))
            for name, column in columns.items()
        }
        fields.setdefault("model", path.stem)
        found.append(Row(fields, f"row {index + 1}", path))
    return found


def _columns(path: Path, present: Sequence[str], reading: Reading) -> dict[str, str]:
    """Field → column of one file.

    Raises:
        HarnessError: a field is unknown, or a column that is named or needed is not there.
    """
    problems = [
        f'unknown field "{name}" ({did_you_mean(name, FIELDS)})'
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


def check_labels(rows: Sequence[Row], reading: Reading, paths: Sequence[Path]) -> None:
    """Check that labels are declared: a label without rows still counts in macro-F1."""
    found = sorted({row.fields["label"].strip() for row in rows if "label" in row.fields})
    if found and not reading.labels:
        hint = f"Declare them, in the order of the confusion matrix: --labels {','.join(found[:9])}"
        raise HarnessError("a `label` column needs --labels", where=str(paths[0]), hint=hint)


def records_of(
    rows: Sequence[Row], reading: Reading, problems: list[str], notes: list[str]
) -> dict[Axes, dict[str, Prediction]]:
    """Cell → example id → record; ``problems`` and ``notes`` are added to."""
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
        f"{counted(len(places), *PROBLEMS[kind])} ({first_places(places)})"
        for kind, places in counts.items()
        if kind in PROBLEMS
    ]
    notes += [
        f"{counted(len(places), *NOTES[kind])} ({first_places(places)})"
        for kind, places in counts.items()
        if kind in NOTES
    ]
    return found


PROBLEMS: dict[str, tuple[str, ...]] = {
    "no id": ("row has no id", "rows have no id"),
    "no prompt": ("row has no prompt", "rows have no prompt"),
    "no reference": ("row has no reference", "rows have no reference"),
    "no model": ("row has no model", "rows have no model"),
    "gold": ("gold answer is not a number", "gold answers are not numbers"),
    "label": ("label is not among the declared ones", "labels are not among the declared ones"),
    "seed": ("seed is not a whole number", "seeds are not whole numbers"),
    "conflicting": tuple(
        f"{subject} two different answers of one model: if it answered several times, add a `seed`"
        " column"
        for subject in ("id has", "ids have")
    ),
}
NOTES: dict[str, tuple[str, ...]] = {
    "repeated": (
        "row repeats another of the same model and was dropped",
        "rows repeat another of the same model and were dropped",
    ),
    "empty": (
        "row has no prediction: it counts as an empty answer",
        "rows have no prediction: they count as empty answers",
    ),
}


def first_places(places: Sequence[str]) -> str:
    """The first of ``places``, and how many more there are."""
    more = f", … {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


def _record(row: Row, reading: Reading, counts: dict[str, list[str]]) -> Prediction:
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


def _place(row: Row) -> str:
    return f"{row.source.name}, {row.where}"


def _gold(text: str, reading: Reading, row: Row, counts: dict[str, list[str]]) -> str | None:
    """The gold number as a plain decimal string."""
    if not text.strip():
        return None
    number = gold_decimal(text, reading.language)
    if number is None:
        counts.setdefault("gold", []).append(f'{_place(row)}: "{text}"')
    return number


def _axes(row: Row, reading: Reading, counts: dict[str, list[str]]) -> Axes:
    fields = row.fields
    text = fields.get("seed", "").strip()
    seed = None
    if text:
        try:
            seed = int(float(text)) if float(text).is_integer() else int(text)
            if not 0 <= seed < 2**63:  # what a column of whole numbers holds
                raise ValueError
        except (ValueError, OverflowError):
            counts.setdefault("seed", []).append(f'{_place(row)}: "{text}"')
    return (
        fields["model"].strip(), fields.get("quantization") or "none",
        fields.get("adapter") or BASE, fields.get("dataset") or reading.dataset, seed,
    )  # fmt: skip
