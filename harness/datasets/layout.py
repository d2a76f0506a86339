"""Which column is which field: from the suite, else from the one format that fits the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.datasets.registry import DatasetSource
from harness.datasets.table import Table
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.suite.dataset_entry import DatasetEntry

FORMATS: dict[str, dict[str, str]] = {
    "instruction and output": {"prompt": "instruction", "reference": "output"},
    "messages": {"messages": "messages"},
    "ShareGPT conversations": {"messages": "conversations"},
    "prompt and completion": {"prompt": "prompt", "reference": "completion"},
}
"""Formats that are known by their columns (Alpaca, OpenAI, ShareGPT, TRL)."""
OPTIONAL = {"context": "input", "category": "category", "system": "system", "history": "history"}
"""Optional columns."""
NEEDED = ("prompt", "reference", "messages")


@dataclass(frozen=True)
class Layout:
    """Our fields → the table's columns, all of them there."""

    columns: Mapping[str, str]
    found: str = ""
    """The format that was recognised, where the suite names no columns."""


def layout_of(entry: DatasetEntry, source: DatasetSource, table: Table) -> Layout:
    """The columns of ``table`` that ``entry`` reads.

    Raises:
        HarnessError: a column is absent, or two formats fit; the message names the columns.
    """
    present = table.columns
    named = {str(field): column for field, column in entry.columns.items()}
    found = ""
    if source.detects_columns and not set(named) & set(NEEDED):
        default, found = _detected(source, present, table.where)
    else:
        default = dict(source.columns)
        if "messages" in named:
            default = {}
    wanted = {**default, **named}
    missing = [
        (field, column)
        for field, column in wanted.items()
        if (field in NEEDED or field in named) and not _is_there(column, present)
    ]
    if missing:
        raise _missing(missing, present, table, entry)
    _check_group(entry, present, table)
    for field, column in OPTIONAL.items():
        # `input` is Alpaca's: in a file whose columns are named it may be anything.
        if field not in wanted and (field == "category" or (found and column in present)):
            wanted[field] = column
    return Layout({f: c for f, c in wanted.items() if _is_there(c, present)}, found)


def _check_group(entry: DatasetEntry, present: list[str], table: Table) -> None:
    group = entry.group_by
    if group not in ("prompt", "reference", None) and not _is_there(group, present):
        hint = f"`group_by` is `prompt`, `reference` or a column. {did_you_mean(group, present)}"
        what = f'data set "{entry.name}": there is no column "{group}" to group by'
        raise HarnessError(what, where=table.where, hint=hint)


def _detected(source: DatasetSource, present: list[str], where: str) -> tuple[dict[str, str], str]:
    formats = dict(FORMATS)
    if source.task == "classification":
        formats = {"text and label": dict(source.columns), **formats}
    fitting = [name for name, columns in formats.items() if set(columns.values()) <= set(present)]
    if len(fitting) > 1:
        columns = formats[fitting[0]]
        shown = ", ".join(f"{field}: {column}" for field, column in columns.items())
        raise HarnessError(
            f"can be read as {' or as '.join(fitting)}",
            where=where,
            hint=f"Choose one, such as `columns: {{{shown}}}`.",
        )
    return (formats[fitting[0]], fitting[0]) if fitting else (dict(source.columns), "")


def _is_there(column: str, present: list[str]) -> bool:
    """Whether ``column`` is one, or a path into one: `answers.text`."""
    return column in present or column.partition(".")[0] in present


def _missing(
    missing: list[tuple[str, str]], present: list[str], table: Table, entry: DatasetEntry
) -> HarnessError:
    fields = ", ".join(f'"{column}" for {field}' for field, column in missing)
    nearest = did_you_mean(missing[0][1], present)
    listed = "" if nearest.startswith("Known") else f" Columns: {', '.join(sorted(present))}."
    # a single column with another separator in it: the file was read with the wrong separator
    if len(present) == 1 and any(mark in present[0] for mark in ";\t|"):
        nearest = f'Its separator is another: set `separator` to the one in "{present[0]}".'
    return HarnessError(
        f'data set "{entry.name}": there is no column {fields}',
        where=table.where,
        hint=f"{nearest}{listed} Name yours under `columns`, such as `prompt: question`.",
    )
