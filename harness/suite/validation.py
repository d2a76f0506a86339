"""Pydantic's complaints as ``file:line: key: what`` with the nearest valid key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import HarnessError, SuiteError
from harness.registry import did_you_mean
from harness.suite.yaml_file import YamlFile

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], file: YamlFile) -> M:
    """``file``'s value as a ``model``.

    Raises:
        SuiteError: every problem found, each with its line.
    """
    if not isinstance(file.value, dict):
        raise HarnessError("expected keys and values at the top", where=f"{file.path}:1")
    try:
        return model.model_validate(file.value)
    except ValidationError as error:
        raise SuiteError([p.text for p in problems_of(model, file, error)]) from None


@dataclass(frozen=True)
class Problem:
    """One complaint, in words and as a place."""

    text: str
    path: tuple[str | int, ...]
    """The key that is wrong, by its path in the file."""
    kind: str
    """Pydantic's name for what is wrong, such as `missing`."""


def problems_of(model: type[BaseModel], file: YamlFile, error: ValidationError) -> list[Problem]:
    """Each complaint of ``error`` once."""
    errors = error.errors()
    # Of `str | Entry` pydantic reports both attempts; an entry that was written is meant as one.
    entries = {e["loc"][:k] for e in errors for k, part in enumerate(e["loc"]) if _is_entry(part)}
    # An axis whose items are all wrong is also "too short": its items say what is wrong.
    within = {e["loc"][:k] for e in errors for k in range(len(e["loc"]))}
    kept = [
        e
        for e in errors
        if not (_is_entry_or_text(e) and e["loc"][:-1] in entries)
        and not (e["type"] == "too_short" and e["loc"] in within)
    ]
    return [
        Problem(_problem(model, file, e), tuple(_path(e)), str(e["type"])) for e in kept or errors
    ]


def _is_entry(part: str | int) -> bool:
    """Whether ``part`` of a place says that an entry was tried, with or without a validator."""
    return isinstance(part, str) and _is_union_tag(part) and "Entry" in part


def _is_entry_or_text(error: Mapping[str, Any]) -> bool:
    return error["loc"][-1:] == ("str",) and isinstance(error.get("input"), dict)


def _path(error: Mapping[str, Any]) -> list[str | int]:
    inner, last = error["loc"][:-1], error["loc"][-1:]
    keeps_last = error["type"] in ("extra_forbidden", "missing")
    path = [part for part in inner if not _is_union_tag(part)]
    return path + [part for part in last if keeps_last or not _is_union_tag(part)]


def _problem(model: type[BaseModel], file: YamlFile, error: Mapping[str, Any]) -> str:
    path = _path(error)
    place = file.place(path)
    if error["type"] == "extra_forbidden":
        known = _fields_at(model, path[:-1])
        return f'{place}: unknown key "{path[-1]}". {did_you_mean(str(path[-1]), known)}'
    if error["type"] == "missing":
        return f"{place}: this key is required"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = _PLAIN.get(error["type"], message)
    if error["type"] == "too_short" and path == ["matrix", "adapter"]:
        message += "; `[base]` evaluates the untouched model alone"
    got = error.get("input")
    return f"{place}: {message}{_shown(got)}"


def _shown(got: object) -> str:
    """What is there in place of what is expected, as YAML writes it."""
    if got is None or isinstance(got, bool):
        return f" (got {json.dumps(got)})"
    if isinstance(got, date):  # YAML reads 2024-01-01 as one
        return f" (got the date {got}: quote it)"
    return f" (got {got!r})" if isinstance(got, str | int | float) else ""


_PLAIN = {
    "model_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "string_type": "expected a text",
    "tuple_type": "expected a list: write it in [ ]",
    "too_short": "an empty list: give at least one",
    "string_pattern_mismatch": "use small letters, digits and hyphens only",
}
"""Pydantic's kinds of error whose own words name Python's types, a class of ours or a pattern."""


def _is_union_tag(part: str | int) -> bool:
    """Whether pydantic put ``part`` into the path itself, to say which type of a union it tried."""
    tags = ("Entry", "str", "int", "float", "bool")
    return isinstance(part, str) and (part.endswith(tags[0]) or part in tags or "function-" in part)


def _fields_at(model: type[BaseModel], path: Iterable[str | int]) -> set[str]:
    """The field names of the model at ``path`` within ``model``."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = _model_in(field.annotation) if field else None
    return set(current.model_fields) if current else set()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found:
            return found
    return None
