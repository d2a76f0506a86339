"""CSV with any of the usual separators and quoted line breaks, without silent damage."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator

from harness.counting import agreeing, counted
from harness.datasets.table import RawRow, Table
from harness.errors import HarnessError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""Separators that are detected."""
QUOTES = 'Quote a field that holds the separator, a quote or a line break, and write " as "".'


def read_csv(text: str, where: str, separator: str | None = None) -> Table:
    """The rows of ``text``; ``separator`` None takes the one that the header decides.

    Raises:
        HarnessError: a row does not fit the header, a quote is not closed, a name is there twice.
    """
    csv.field_size_limit(sys.maxsize)  # the default of 128 KiB ends a table of long documents
    first = 1
    if separator is None and text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n"):
        separator, text, first = text[4], text[5:].lstrip("\r\n"), 2  # Excel's own first line
    chosen = separator or _separator(text, where)
    records = list(_records(text, chosen, where, first))
    if not records:
        raise HarnessError(
            "has no header", where=where, hint="The first line must name the columns."
        )
    header = [name.strip() for name in records[0].fields]
    width = _width(header, where)
    _refuse_other_widths(records, header, width, where)
    rows: list[RawRow] = [
        {name: field for name, field in zip(header, record.fields, strict=False) if name}
        for record in records[1:]
    ]
    note = () if chosen == "," else (f"separator: {SEPARATORS.get(chosen, repr(chosen))}",)
    return Table(rows, where, [record.line for record in records[1:]], note)


class _Record:
    """The fields of one record and the line that it begins on."""

    __slots__ = ("fields", "line")

    def __init__(self, fields: list[str], line: int) -> None:
        self.fields = fields
        self.line = line


def _records(text: str, separator: str, where: str, first: int = 1) -> Iterator[_Record]:
    # `strict` refuses what is left open or follows a closing quote: the reader would join rows.
    reader = csv.reader(
        _lines(text), delimiter=separator, strict=True, skipinitialspace=separator != "\t"
    )
    while True:
        line = reader.line_num + first
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise HarnessError(
                f"this row cannot be read as CSV: {error}", where=f"{where}:{line}", hint=QUOTES
            ) from None
        if fields:
            yield _Record(fields, line)


def _lines(text: str) -> Iterator[str]:
    """The lines of ``text`` with their ends, cut one by one: a second copy costs memory."""
    end = "\n" if "\n" in text else "\r"  # old Mac files end lines by a carriage return alone
    start = 0
    while start < len(text):
        stop = text.find(end, start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _separator(text: str, where: str) -> str:
    """The one separator in the header outside quotes, else the one that every row fits.

    Raises:
        HarnessError: more than one fits.
    """
    inside = _outside_quotes(next(_lines(text), ""))
    found = [mark for mark in SEPARATORS if mark in inside]
    if len(found) > 1:
        found = [mark for mark in found if _fits(text, mark, where)]
    if len(found) > 1:
        names = " or ".join(SEPARATORS[mark] for mark in found)
        hint = 'Set the right one: `separator: ";"` in the data set\'s entry.'
        raise HarnessError(f"its columns can be read by {names}", where=f"{where}:1", hint=hint)
    return found[0] if found else ","


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _fits(text: str, separator: str, where: str) -> bool:
    try:
        widths = {len(record.fields) for record in _records(text, separator, where)}
    except HarnessError:
        return False
    return len(widths) == 1 and widths != {1}


def _width(header: list[str], where: str) -> int:
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        hint = "Rename one of them."
        raise HarnessError(f'duplicate column "{twice[0]}"', where=f"{where}:1", hint=hint)
    return len(header)


def _refuse_other_widths(records: list[_Record], header: list[str], width: int, where: str) -> None:
    rows = records[1:]
    extra = {len(record.fields) - width for record in rows}
    # A comma at the end of every row is how some tools write; one more field in *some* rows is an
    # unquoted separator, and to cut there would cut the answer.
    same = len(extra) == 1 and min(extra) > 0
    if same and not any(field.strip() for record in rows for field in record.fields[width:]):
        return
    wrong = [r for r in rows if len(r.fields) != width and any(f.strip() for f in r.fields)]
    if wrong:
        first = wrong[0]
        more = (
            f"; so {agreeing(len(wrong) - 1, 'is', 'are')} {counted(len(wrong) - 1, 'more row')}"
            if len(wrong) > 1
            else ""
        )
        raise HarnessError(
            f"{counted(len(first.fields), 'field')}, the header has {width}"
            f" ({', '.join(header)}){more}",
            where=f"{where}:{first.line}",
            hint=QUOTES,
        )
