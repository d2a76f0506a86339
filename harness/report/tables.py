"""The results as tables: CSV always, JSON of small runs, Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.extras import how, is_installed
from harness.results.paths import json_text, write_bytes, written
from harness.results.text import csv_cell
from harness.results.tidy import TIDY_COLUMNS, TidyRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["tables_left_out", "write_tables"]

PARQUET, CSV, JSON = "results.parquet", "results.csv", "results.json"
JSON_RECORDS = 20_000
"""Most records that are written as JSON unasked: 9 MB. It repeats the names of 18 columns for every
record: 190,000 records take 83 MB, and 0.7 MB in Parquet."""
CHUNK = 2_000
"""Records that are text at one time."""
ROW_GROUP = 50_000
"""Records that are Arrow's columns at one time."""


def write_tables(rows: Sequence[TidyRow], directory: Path, *, json: bool = False) -> list[str]:
    """Write the results table to ``directory``; the names of the files.

    Args:
        rows: The table; see `tidy_rows`.
        directory: Where the files go. A ``results.json`` or ``results.parquet`` of an earlier
            report, which would be of other results, is deleted if none is written.
        json: Write ``results.json`` whatever the number of records.
    """
    names = [CSV]
    if json or len(rows) <= JSON_RECORDS:
        names.insert(0, JSON)
        _write_json(rows, directory / JSON)
    else:
        (directory / JSON).unlink(missing_ok=True)
    _write_csv(rows, directory / CSV)
    if is_installed("pyarrow"):
        _write_parquet(rows, directory / PARQUET)
        names.append(PARQUET)
    else:
        (directory / PARQUET).unlink(missing_ok=True)
    return names


def tables_left_out(directory: Path) -> str | None:
    """The lines that say which tables the report in ``directory`` lacks, and how to get them."""
    if not (directory / CSV).is_file():
        return None
    lines = []
    if not (directory / PARQUET).is_file():
        lines.append(f"{PARQUET} is left out, because pyarrow is not installed: {how('pyarrow')}")
    if not (directory / JSON).is_file():
        lines.append(
            f"{JSON} is left out, because the run has more than {JSON_RECORDS:,} records;"
            f" {CSV} holds them, and `harness report --json` writes both"
        )
    return "\n".join(lines) or None


def _write_json(rows: Sequence[TidyRow], path: Path) -> None:
    """The text of `json_text` of all records, without ever holding the whole of it."""
    with written(path) as file:
        before = "[\n"
        for chunk in _chunks(rows):
            text = json_text([dict(zip(TIDY_COLUMNS, row, strict=True)) for row in chunk])
            file.write((before + text.removeprefix("[\n").removesuffix("\n]\n")).encode())
            before = ",\n"
        file.write(b"\n]\n" if rows else b"[]\n")


def _write_csv(rows: Sequence[TidyRow], path: Path) -> None:
    safe = _Safe()
    with written(path) as file:
        for number, chunk in enumerate(_chunks(rows) if rows else [()]):
            table = io.StringIO()
            writer = csv.writer(table, lineterminator="\n")
            if number == 0:
                writer.writerow(TIDY_COLUMNS)
            writer.writerows([safe[v] if type(v) is str else v for v in row] for row in chunk)
            file.write(table.getvalue().encode())


class _Safe(dict[str, object]):
    """Texts as a spreadsheet may read them: the same few names are in every row."""

    def __missing__(self, text: str) -> object:
        self[text] = found = csv_cell(text)
        return found


def _chunks(rows: Sequence[TidyRow]) -> Iterator[Sequence[TidyRow]]:
    return (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))


def _write_parquet(rows: Sequence[TidyRow], path: Path) -> None:
    """Write the results with fixed column types, even for columns that are empty in this run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"seed": pa.int64(), "n": pa.int64(), "higher_is_better": pa.bool_()}
    kinds |= dict.fromkeys(("value", "ci_low", "ci_high"), pa.float64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in TIDY_COLUMNS])
    content = io.BytesIO()
    with pq.ParquetWriter(content, schema) as writer:
        for first in range(0, len(rows), ROW_GROUP):
            columns = zip(*rows[first : first + ROW_GROUP], strict=True)
            arrays = [_column(x, f.type) for x, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    write_bytes(path, content.getvalue())


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """``values``, some of them None, as an Arrow array of ``kind``: text, truth or a number.

    `pyarrow.array` would import pandas, which holds 50 MB to the end of the program.
    """
    import numpy as np
    import pyarrow as pa

    def bits(flags: Iterable[object]) -> pa.Buffer:
        return pa.py_buffer(np.packbits(np.fromiter(flags, bool, len(values)), bitorder="little"))

    buffers = [bits(value is not None for value in values)]
    if pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers += [pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    elif pa.types.is_boolean(kind):
        buffers.append(bits(values))
    else:
        filled = [0 if value is None else value for value in values]
        buffers.append(pa.py_buffer(np.array(filled, kind.to_pandas_dtype())))
    return pa.Array.from_buffers(kind, len(values), buffers)
