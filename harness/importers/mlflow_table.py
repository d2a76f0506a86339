"""The table of `mlflow.evaluate` among a run's files: a score for each example.

``eval_results_table.json`` is a table of pandas in its form `split`: columns, and rows of values.
A column `NAME/score`, or `NAME/v1/score`, holds the scores of a metric.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.importers.foreign import is_number, mapping, parsed_json, rows, text_in
from harness.metrics.prediction import Prediction
from harness.metrics.registry import find
from harness.registry import did_you_mean
from harness.results.result import Value
from harness.scoring.aggregation import mean_value

TABLE = "eval_results_table.json"
COLUMNS = {
    "prompt": ("prompt", "inputs", "question"),
    "reference": ("reference", "targets", "target", "ground_truth"),
    "prediction": ("prediction", "outputs", "output"),
}
"""Field → what MLflow's own documents call its column."""
_SCORE = re.compile(r"(?P<name>.+?)(?:/v\d+)?/score")


@dataclass(frozen=True)
class ScoredTable:
    """The examples of a run, and the metrics over them."""

    records: list[Prediction]
    values: list[Value]


def scored_table(
    client: Any, run: Any, columns: Mapping[str, str], *, where: str
) -> ScoredTable | None:
    """The scores per example of ``run``; None where it has no such table.

    Args:
        client: The client of MLflow.
        run: The run.
        columns: Field → column, where it is not called as MLflow calls it.
        where: Names the run in messages.

    Raises:
        HarnessError: the table cannot be read, or a column is missing.
    """
    if not any(file.path == TABLE for file in client.list_artifacts(run.info.run_id)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(run.info.run_id, TABLE, folder)
        record = mapping(parsed_json(text_in(Path(path)), f"{where}: {TABLE}"))
    names = [str(name) for name in rows(record.get("columns"))]
    data = [dict(zip(names, rows(row), strict=False)) for row in rows(record.get("data"))]
    metrics = {m["name"]: name for name in names if (m := _SCORE.fullmatch(name))}
    if not data or not metrics:
        return None
    fields = {field: _column(field, names, columns, where) for field in COLUMNS}
    records = _records(data, fields, metrics, id_column=columns.get("id"))
    values = [
        mean_value(
            records, name, signature=f"{column}|mlflow",
            higher_is_better=known.higher_is_better if (known := find(name)) else None,
        )
        for name, column in metrics.items()
        if any(name in record["scores"] for record in records)
    ]  # fmt: skip
    return ScoredTable(records, values)


def _column(field: str, names: list[str], columns: Mapping[str, str], where: str) -> str:
    given = columns.get(field)
    known = (given,) if given else COLUMNS[field]
    found = next((name for name in known if name in names), None)
    if found is None:
        hint = f"Name it: --columns {field}=COLUMN. {did_you_mean(given or field, names)}"
        raise HarnessError(f"{TABLE}: no column for `{field}`", where=where, hint=hint)
    return found


def _records(
    data: list[dict[str, Any]], fields: Mapping[str, str], metrics: Mapping[str, str],
    *, id_column: str | None,
) -> list[Prediction]:  # fmt: skip
    seen: Counter[str] = Counter()
    found = []
    for row in data:
        prompt, reference, prediction = (str(row.get(fields[field])) for field in COLUMNS)
        identity = digest(prompt, reference) if id_column is None else str(row.get(id_column))
        seen[identity] += 1
        number = seen[identity]  # the same question twice is two examples
        record: Prediction = {
            "id": identity if number == 1 else f"{identity}-{number}",
            "prompt": prompt,
            "example_prompt": prompt,
            "reference": reference,
            "prediction": prediction,
            "finish_reason": "unknown",
            "data_hash": digest(reference)[:12],
            "prompt_hash": digest(prompt)[:12],
            "answered_by": "generation",
            "category": None,
            "group": None,
            "gold": None,
            "scores": {
                name: float(row[column])
                for name, column in metrics.items()
                if is_number(row.get(column))
            },
        }
        found.append(record)
    return found
