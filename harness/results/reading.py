"""The files of a run, read back and checked: a damaged one is named, never taken for an absent one.

A file that is absent means "not done yet". A file that is there and cannot be read means that
something went wrong, so every reader says which file, which line and what to do.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import DamagedFile, HarnessError
from harness.metrics.prediction import Prediction
from harness.results.paths import RunPaths, bytes_in
from harness.results.planned import problem_of

Rows = TypeVar("Rows")
WHOLE_DIGITS = 20
"""Characters of the longest whole number of 64 bits, its sign included."""
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
"""Digits as zeros: what is searched for is then fixed bytes, and a result is read in one go in a
third of the time that a pattern for numbers alone takes."""
_EXPONENT = re.compile(rb"e\+?000+(?=[\s,\]}]|$)")
"""An exponent of three digits, and what a value of JSON ends with. A hash, which every result has,
looks like `3e104` in its midst; after a closer look it would take four times as long to read."""
_WHOLE = re.compile(rb"(?:^|[\s:,\[])-?0{19}")
_FRACTION = b"." + b"0" * 12
"""The first digits behind a point: `0.0043478260869565218` is no large number."""
ASIDE = ".damaged"
"""What the name of a damaged result gets when its cell is done again: it is never deleted."""
PLANNED_AGAIN = "The file was cut or edited; `harness run` of the suite writes it anew."
UPDATE = "Update the harness, or give another run directory by -o."
READINGS = 10
"""How often something is read that another command replaces while it is read: each of them takes
milliseconds, and nobody writes the same cell so often in a row."""
PLAN_SCHEMA = 1
"""Of ``plan.json``."""
AGAIN = "It was cut or edited: run the cell again, or take the file from a copy."


def read_object(path: Path, *, hint: str) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it holds something else, with the line.
    """
    return object_in(path.read_bytes(), path, hint=hint)


def object_in(data: bytes, path: Path, *, hint: str) -> dict[str, Any]:
    """The JSON object in ``data``, which was read from ``path``; see `read_object`."""
    try:
        record = _strict_json(data)
    except json.JSONDecodeError as error:
        what = f"is damaged: {re.sub(r'( starting)? at$', '', error.msg)}"
        raise DamagedFile(what, where=f"{path}:{error.lineno}", hint=hint) from None
    except UnicodeDecodeError:
        raise DamagedFile("is damaged: no UTF-8", where=str(path), hint=hint) from None
    except RecursionError:
        raise DamagedFile("is damaged: nested too deep", where=str(path), hint=hint) from None
    except ValueError as error:
        raise DamagedFile(f"is damaged: {error}", where=str(path), hint=hint) from None
    if not isinstance(record, dict):
        raise DamagedFile("is damaged: no JSON object", where=f"{path}:1", hint=hint)
    return record


def _strict_json(data: bytes) -> Any:
    """The value of ``data``, without the numbers that no file of ours holds.

    Python reads `NaN`, `1e999` and whole numbers of any size, and then cannot write the first two,
    nor put the third into a table.
    """
    if not has_odd_number(data):
        return json.loads(data)  # several times faster than with functions of ours
    return json.loads(data, parse_constant=_refused, parse_float=_finite, parse_int=_whole)


def has_odd_number(data: bytes) -> bool:
    """Whether ``data`` may hold a number that `_strict_json` has to look at."""
    if b"NaN" in data or b"Infinity" in data:
        return True
    shape = data.translate(_SHAPE)
    if _EXPONENT.search(shape):
        return True
    # the pattern is slow, and hardly ever needed
    return b"0" * 19 in shape.replace(_FRACTION, b".") and _WHOLE.search(shape) is not None


def _refused(text: str) -> float:
    raise ValueError(f"{text[:40]} is no number that a result can hold")


def _finite(text: str) -> float:
    return found if math.isfinite(found := float(text)) else _refused(text)


def _whole(text: str) -> int:
    found = int(text) if len(text) <= WHOLE_DIGITS else 2**63
    return found if -(2**63) <= found < 2**63 else int(_refused(text))


def read_plan(directory: Path, *, given: str) -> dict[str, Any]:
    """``plan.json`` of the run in ``directory``, with its suite's name and its cells.

    Args:
        directory: Where the run is.
        given: What the user named: the directory, or the packed file that it came from.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is not a plan.
        HarnessError: a newer harness wrote it.
    """
    try:
        plan = read_object(RunPaths(directory).plan, hint=PLANNED_AGAIN)
    except DamagedFile as error:
        raise no_plan(given, error.what.removeprefix("is damaged: ")) from None
    schema = plan.get("schema", PLAN_SCHEMA)
    if type(schema) is not int or schema > PLAN_SCHEMA:
        # written anew by this version it would be lost to the newer one
        what = f"plan.json is of schema {schema!r}; this harness reads up to {PLAN_SCHEMA}"
        raise HarnessError(what, where=given, hint=UPDATE)
    suite, cells = plan.get("suite"), plan.get("cells")
    if not isinstance(suite, dict) or "name" not in suite:
        raise no_plan(given, "it has no suite with a name")
    if not isinstance(cells, list) or not all(
        isinstance(cell, dict) and isinstance(cell.get("key"), str) for cell in cells
    ):
        raise no_plan(given, "it has no list of cells")
    problem = problem_of(plan)
    if problem:
        raise no_plan(given, problem)
    return plan


def no_plan(given: str, why: str) -> DamagedFile:
    """The error of a ``plan.json`` of the run ``given`` that cannot be used."""
    return DamagedFile(f"plan.json is no plan of a run: {why}", where=given, hint=PLANNED_AGAIN)


def changed_meanwhile(place: Path) -> HarnessError:
    """The error of a run, or a part of it, in ``place`` that is written while it is read."""
    hint = "Another command writes to the run: try again when it has ended."
    return HarnessError("changed while it was read", where=str(place), hint=hint)


def read_predictions(path: Path) -> list[Prediction]:
    """The records in ``path``, in order; empty when there is no such file.

    Raises:
        DamagedFile: a line is cut, or a field in it is of another type; with the line.
    """
    rows = read_rows(path, _prediction_type())
    for number, row in enumerate(rows, start=1):
        if "id" not in row:  # a line that was kept without its example cannot be paired
            raise DamagedFile('is damaged: no "id"', where=f"{path}:{number}", hint=AGAIN)
    return rows


def read_log(path: Path) -> list[dict[str, int | float]]:
    """The logged training steps in ``path``; empty when there is no such file.

    Raises:
        DamagedFile: as `read_predictions`.
    """
    return read_rows(path, _log_type())


def keep_aside(path: Path) -> Path:
    """Rename the damaged file in ``path``, so that the cell can be done again; its new place.

    An older one that was kept is not overwritten.
    """
    taken = 1
    place = path.with_name(f"{path.name}{ASIDE}")
    while place.exists():
        taken += 1
        place = path.with_name(f"{path.name}{ASIDE}-{taken}")
    return path.rename(place)


@cache
def _prediction_type() -> TypeAdapter[list[Prediction]]:
    return TypeAdapter(list[Prediction])


@cache
def _log_type() -> TypeAdapter[list[dict[str, int | float]]]:
    return TypeAdapter(list[dict[str, int | float]])


def read_rows(path: Path, adapter: TypeAdapter[list[Rows]], *, hint: str = AGAIN) -> list[Rows]:
    """The record on each line of ``path``, checked by ``adapter``; none where there is no file.

    Args:
        path: A file of one JSON object a line.
        adapter: What each line has to be.
        hint: What to do about a damaged line.

    Raises:
        DamagedFile: a line is cut, or a field in it has another type; with the line.
    """
    content = bytes_in(path)
    if content is None:
        return []
    lines = content.rstrip(b"\n")
    try:
        # one call for all lines is several times faster than one for each
        return adapter.validate_json(b"[" + lines.replace(b"\n", b",") + b"]")
    except ValidationError as error:
        raise _bad_row(path, lines.split(b"\n"), error, hint) from None


def _bad_row(path: Path, lines: list[bytes], error: ValidationError, hint: str) -> DamagedFile:
    """The error of the first line of ``path`` that is no record."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        row, *place = first["loc"]
        text = f"{'.'.join(map(str, place))}: {first['msg']}" if place else first["msg"]
        return DamagedFile(f"is damaged: {text}", where=f"{path}:{int(row) + 1}", hint=hint)
    # the place that pydantic names is in the joined text, so each line is tried by itself
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return DamagedFile("is damaged: the line is cut", where=f"{path}:{number}", hint=hint)
    return DamagedFile("is damaged", where=str(path), hint=hint)


def damaged_field(path: Path, error: ValidationError, *, hint: str) -> DamagedFile:
    """What is wrong with the object in ``path``, by its first field that is unknown or wrong."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    words = {
        "unexpected_keyword_argument": f'unknown field "{name}"',
        "missing": f'field "{name}" is missing',
        "missing_argument": f'field "{name}" is missing',
    }
    text = words.get(first["type"], f"{name}: {first['msg']}")
    line = _line_of(path, str(first["loc"][0])) if first["loc"] else None
    where = f"{path}:{line}" if line else str(path)
    return DamagedFile(f"is damaged: {text}", where=where, hint=hint)


def _line_of(path: Path, key: str) -> int | None:
    """The line of the outermost ``key``: files of a run are indented by one space a level."""
    text = path.read_text("utf-8")
    found = re.search(rf"^ {re.escape(json.dumps(key, ensure_ascii=False))}:", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None
