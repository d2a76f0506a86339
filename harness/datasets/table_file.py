"""A data file to rows: its format by its name, packed or not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from harness.datasets.csv_table import read_csv
from harness.datasets.growth import BROKEN, OPENERS, refuse_growth, unpack
from harness.datasets.json_table import read_json, read_jsonl
from harness.datasets.table import RawRow, Table
from harness.datasets.text_encoding import decoded
from harness.errors import HarnessError
from harness.extras import need

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
ADVICE = {
    ".xlsx": "Save the sheet as CSV (UTF-8) in your spreadsheet program.",
    ".xls": "Save the sheet as CSV (UTF-8) in your spreadsheet program.",
    ".ods": "Save the sheet as CSV (UTF-8) in your spreadsheet program.",
    ".zip": "Unpack it, or pack the file as .gz.",
    ".zst": "Unpack it, or pack the file as .gz.",
    ".txt": "Write a table: CSV or JSON lines.",
    ".yaml": "Write a table: CSV or JSON lines.",
    ".arrow": "Save it as Parquet.",
    ".feather": "Save it as Parquet.",
    ".pkl": "Save it as Parquet.",
}
"""File types that are not read, each with what to do."""
ZIPPED = b"\x1f\x8b"
"""How a gzip file begins."""


class FileKind(NamedTuple):
    """A format and a packing, both by the file's name."""

    format: str
    packing: str


def kind_of(name: str) -> FileKind | None:
    """The format of the file ``name``; None where it is none that is read."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in OPENERS else ""
    return FileKind(suffixes[-1], packing) if suffixes and suffixes[-1] in FORMATS else None


def read_table(path: Path, *, encoding: str | None = None, separator: str | None = None) -> Table:
    """The rows of the file at ``path``.

    Raises:
        HarnessError: it cannot be read; the message names the file, the line and what to do.
    """
    kind = kind_of(path.name)
    assert kind is not None  # `source_of` has looked at the name
    if kind.format == ".parquet":
        return _parquet(path)
    text = decoded(_content(path, kind.packing), str(path), encoding)
    notes = (f"encoding: {encoding}",) if encoding else ()
    if kind.format in (".csv", ".tsv"):
        table = read_csv(text, str(path), "\t" if kind.format == ".tsv" else separator)
    else:
        table = (read_json if kind.format == ".json" else read_jsonl)(text, str(path))
    if not table.rows:
        raise HarnessError("has no rows", where=str(path))
    return Table(table.rows, table.where, table.lines, (*table.notes, *notes))


def _content(path: Path, packing: str) -> bytes:
    try:
        if packing:
            return unpack(path, packing)
        data = path.read_bytes()
        if data.startswith(ZIPPED):
            hint = f"Name it {path.name}.gz."
            raise HarnessError("is compressed with gzip", where=str(path), hint=hint)
        return data
    except (*BROKEN, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise HarnessError(f"cannot be read: {reason}", where=str(path)) from None


def _parquet(path: Path) -> Table:
    need(f"reading {path}", "pyarrow")
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise HarnessError(f'duplicate column "{twice[0]}"', where=str(path))
        packed, size = path.stat().st_size, 0
        rows: list[RawRow] = []
        for batch in file.iter_batches():
            # a run of equal values takes a few bytes on disk, however long it is
            size += batch.nbytes
            refuse_growth(path, size, packed)
            rows += batch.to_pylist()
    # Arrow's values that Python lacks, such as a date of the year 300,000, raise Python's errors.
    except (ArrowException, OSError, ValueError, OverflowError, LookupError, TypeError) as error:
        reason = " ".join((str(error).splitlines() or [type(error).__name__])[0].split())
        raise HarnessError(f"cannot be read as Parquet: {reason}", where=str(path)) from None
    return Table(rows, str(path))
