"""The rows of every data set: built in, generated, a file or the hub."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from harness.errors import HarnessError, SkipCell
from harness.registry import Registry, did_you_mean
from harness.suite.schema import DatasetEntry

Row = dict[str, Any]
FILE_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
ALPACA_COLUMNS = {"prompt": "instruction", "context": "input", "reference": "output"}
LABEL_COLUMNS = {"prompt": "text", "reference": "label"}


@dataclass(frozen=True)
class Source:
    """A built-in data set: its rows, and what is known of them."""

    name: str
    version: int
    """Rises when the rows or their reading change; part of a cell's fingerprint."""
    rows: Callable[[DatasetEntry], list[Row]]
    task: Literal["generation", "classification"] = "generation"
    language: Literal["en", "ru"] = "en"
    labels: tuple[str, ...] = ()
    primary_metric: str = "rougeL"
    needs_network: bool = False
    columns: tuple[tuple[str, str], ...] = tuple(ALPACA_COLUMNS.items())
    group_by: str = "prompt"


SOURCES: Registry[Source] = Registry("data set")


def source_of(entry: DatasetEntry, folder: Path) -> Source:
    """The source that ``entry`` names: a built-in set, a file under ``folder``, or a hub id.

    Raises:
        HarnessError: there is no such set or file, or its kind is unknown.
    """
    name = entry.source or entry.name
    if name in SOURCES:
        return SOURCES.get(name)
    if name.endswith(FILE_SUFFIXES):
        path = (folder / Path(name).expanduser()).resolve()
        if not path.is_file():
            hint = f"Paths start from the suite's folder, {folder}."
            raise HarnessError(f'data set "{entry.name}": no file {path}', hint=hint)
        return _table(entry, name, lambda _: _read_table(path))
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return _table(entry, name, lambda e: _hub_rows(name, e.revision), needs_network=True)
    raise HarnessError(
        f'data set "{entry.name}": unknown source "{name}"',
        hint=f"{did_you_mean(name, SOURCES)} A file ({', '.join(FILE_SUFFIXES)}) or a hub id does.",
    )


def _table(
    entry: DatasetEntry,
    name: str,
    rows: Callable[[DatasetEntry], list[Row]],
    *,
    needs_network: bool = False,
) -> Source:
    task = entry.task or ("classification" if entry.labels else "generation")
    columns = LABEL_COLUMNS if task == "classification" else ALPACA_COLUMNS
    if task == "classification" and not entry.labels:
        hint = "Declare them in order: labels: [negative, neutral, positive]."
        raise HarnessError(
            f'data set "{entry.name}": a classification set needs `labels`', hint=hint
        )
    return Source(
        name, 1, rows, task, entry.language or "en", entry.labels,
        "f1_macro" if task == "classification" else "rougeL", needs_network, tuple(columns.items()),
    )  # fmt: skip


def read_rows(entry: DatasetEntry, folder: Path) -> list[Row]:
    """Every raw row of ``entry``."""
    return source_of(entry, folder).rows(entry)


def content_hash(entry: DatasetEntry, folder: Path) -> str:
    """A hash of what ``entry`` reads: file bytes, generator version, or hub id and revision."""
    source = source_of(entry, folder)
    if source.needs_network:
        return f"{source.name}@{entry.revision or 'main'}"
    name = entry.source or entry.name
    if name.endswith(FILE_SUFFIXES):
        return file_hash((folder / Path(name).expanduser()).resolve())
    return f"{source.name}/v{source.version}/{_packaged_hash(source.name)}"


@cache
def file_hash(path: Path) -> str:
    """A hash of the bytes in ``path``, read once in a process."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _packaged_hash(name: str) -> str:
    for suffix in (".jsonl", ".csv"):
        path = Path(str(files("harness.datasets"))) / "data" / f"{name.replace('-', '_')}{suffix}"
        if path.is_file():
            return file_hash(path)
    return "generated"


def _read_table(path: Path) -> list[Row]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        if path.suffix == ".jsonl":
            lines = path.read_text("utf-8").splitlines()
            return [json.loads(line) for line in lines if line.strip()]
        if path.suffix == ".json":
            value = json.loads(path.read_text("utf-8"))
            return value if isinstance(value, list) else value["data"]
        from pyarrow import parquet

        rows: list[Row] = parquet.read_table(path).to_pylist()
        return rows
    except (ValueError, KeyError, csv.Error) as error:
        raise HarnessError(
            f"cannot be read as {path.suffix[1:]}: {error}", where=str(path)
        ) from None


def _hub_rows(name: str, revision: str | None) -> list[Row]:
    from datasets import load_dataset

    try:
        return list(load_dataset(name, split="train", revision=revision))
    except Exception as error:  # every hub failure has another type; all mean: not to be had here
        raise SkipCell(f"data set {name} cannot be fetched: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _finance_qa(_: DatasetEntry) -> list[Row]:
    text = files("harness.datasets").joinpath("data", "finance_qa.jsonl").read_text("utf-8")
    bodies = [json.loads(line) for line in text.split("\n") if line.strip()]
    return [
        {
            "instruction": question, "input": body["input"], "output": body["output"],
            "category": body["topic"],
        }
        for body in bodies
        for question in body["questions"]
    ]  # fmt: skip


def _finance_labels(_: DatasetEntry) -> list[Row]:
    return _read_table(Path(str(files("harness.datasets"))) / "data" / "finance_labels.csv")


def _ru_calculations(entry: DatasetEntry) -> list[Row]:
    from harness.datasets.ru_calculations import generate

    rows = generate(entry.rows or 505, seed=42)
    keys = ("instruction", "output", "category", "gold", "group")
    return [{key: getattr(row, key) for key in keys} for row in rows]


FINANCE_LABELS = ("risk analysis", "earnings report", "market sentiment")

for _source in (
    Source("finance-qa", 2, _finance_qa, group_by="reference"),
    Source(
        "finance-labels", 2, _finance_labels, "classification", labels=FINANCE_LABELS,
        primary_metric="f1_macro", columns=tuple(LABEL_COLUMNS.items()),
    ),
    Source(
        "ru-calculations", 1, _ru_calculations, language="ru", primary_metric="numeric_accuracy",
        columns=(*ALPACA_COLUMNS.items(), ("category", "category"), ("gold", "gold")),
        group_by="group",
    ),
    Source(
        "finance-alpaca", 1, lambda e: _hub_rows("gbharti/finance-alpaca", e.revision),
        needs_network=True,
    ),
):  # fmt: skip
    SOURCES.add(_source.name, _source)
