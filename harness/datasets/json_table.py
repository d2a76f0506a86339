"""JSON and JSON lines to rows: lists of objects, and tables that pandas wrote by column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from harness.counting import counted
from harness.datasets.table import RawRow, Table
from harness.errors import HarnessError

SHAPES = "Write a list of objects, or one object a line (.jsonl)."


class _Twice(ValueError):
    """A key that an object holds twice."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Twice(f'the key "{twice}" is there twice')
    return found


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name  # NaN is how pandas writes a missing value


# Numbers with a point stay as they are written: a price of 1.50 is not 1.5.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=str, parse_constant=_constant, strict=False
)


def read_jsonl(text: str, where: str) -> Table:
    """One object a line.

    Raises:
        HarnessError: a line is not an object.
    """
    rows: list[RawRow] = []
    lines: list[int] = []
    for number, line in _numbered(text):
        try:
            value = _DECODER.decode(line.strip())
        except (ValueError, RecursionError) as error:
            raise HarnessError(_reason(error), where=f"{where}:{number}", hint=SHAPES) from None
        rows.append(_row(value, f"{where}:{number}"))
        lines.append(number)
    return Table(rows, where, lines)


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Each line that is not blank with its number; U+2028 within a text ends no line."""
    start, number = 0, 0
    while start < len(text):
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        number += 1
        line = text[start:stop]
        if line.strip():
            yield number, line
        start = stop + 1


def read_json(text: str, where: str) -> Table:
    """A list of objects; JSON lines under another name; or columns.

    Raises:
        HarnessError: it is none of these.
    """
    try:
        value = _DECODER.decode(text.strip())
    except (ValueError, RecursionError) as error:
        lines = _numbered(text)
        next(lines, None)
        if next(lines, (0, ""))[1].lstrip().startswith("{") and text.lstrip().startswith("{"):
            try:
                return read_jsonl(text, where)
            except HarnessError:
                pass  # the file's own mistake is the better message
        place = f"{where}:{getattr(error, 'lineno', 1)}"
        raise HarnessError(_reason(error), where=place, hint=SHAPES) from None
    return Table(_rows_in(value, where), where)


def _rows_in(value: object, where: str) -> list[RawRow]:
    if isinstance(value, list):
        return [_row(item, f"{where}: row {k}") for k, item in enumerate(value, start=1)]
    if isinstance(value, dict):
        if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
            return _by_split(value["columns"], value["data"], where)
        if _is_objects(value.get("data")):
            return _rows_in(value["data"], where)
        if value and all(isinstance(column, list) for column in value.values()):
            return _by_column(value, where)
        if value and all(isinstance(column, dict) for column in value.values()):
            return _by_index(value, where)
    kind = "an object" if isinstance(value, dict) else type(value).__name__
    raise HarnessError(f"holds {kind} instead of a list of objects", where=where, hint=SHAPES)


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _by_split(columns: list[object], data: list[object], where: str) -> list[RawRow]:
    """Pandas' `orient="split"`."""
    names = [str(name) for name in columns]
    rows: list[RawRow] = []
    for number, item in enumerate(data, start=1):
        if not isinstance(item, list) or len(item) != len(names):
            raise HarnessError(
                f"is not a list of {counted(len(names), 'value')}",
                where=f"{where}: row {number}",
                hint=SHAPES,
            )
        rows.append(dict(zip(names, item, strict=True)))
    return rows


def _by_column(value: dict[str, list[object]], where: str) -> list[RawRow]:
    """`{"instruction": [...], "output": [...]}`: columns of one length."""
    lengths = {name: len(column) for name, column in value.items()}
    named = ", ".join(f"{name}: {length}" for name, length in lengths.items())
    objects = [name for name, column in value.items() if column and _is_objects(column)]
    if objects and not {"messages", "conversations"} & set(objects):
        hint = f"Write one of these lists to a file of its own: {named}."
        raise HarnessError("holds several lists of rows", where=where, hint=hint)
    if len(set(lengths.values())) > 1:
        raise HarnessError(f"columns differ in length ({named})", where=where, hint=SHAPES)
    return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]


def _by_index(value: dict[str, dict[str, object]], where: str) -> list[RawRow]:
    """Pandas' `orient="columns"` (column → index → value) or `"index"` (index → row)."""
    outer = all(name.isdecimal() for name in value)
    inner = all(name.isdecimal() for column in value.values() for name in column)
    if outer == inner:
        hint = f"These could be rows or columns. {SHAPES}"
        raise HarnessError("holds objects within an object", where=where, hint=hint)
    if outer:
        return list(value.values())
    index = dict.fromkeys(name for column in value.values() for name in column)
    return [{name: column.get(i) for name, column in value.items()} for i in index]


def _row(value: object, place: str) -> RawRow:
    if isinstance(value, dict):
        return value
    kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
    raise HarnessError(f"{kind}, where an object is expected", where=place, hint=SHAPES)


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "lists or objects nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        # Python's own texts end in "starting at", and are followed by its own place
        what = re.sub(r"( starting)? at$", "", error.msg)
        return f"not valid JSON: {what} at column {error.colno}"
    return str(error)
