"""Another tool's files, read without trust: a value of a type that it never writes is absent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from harness.errors import HarnessError


def text_in(path: Path) -> str:
    """The text in ``path``.

    Raises:
        HarnessError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"cannot be read: {error}", where=str(path)) from None


def parsed_json(text: str, where: str) -> Any:
    """The JSON value of ``text``.

    Raises:
        HarnessError: it is not JSON, or nested too deeply.
    """
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            # half of a surrogate pair, which no file of ours could hold
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        hint = "It is half of a surrogate pair such as \\ud83d; write the character itself."
        raise HarnessError("holds a broken character", where=where, hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"cannot be read: {error}", where=where) from None
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a number that exists: JSON of a tool may hold NaN and Infinity."""
    if not isinstance(value, bool | int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond 1.8e308, which JSON can hold
        return False


def number(value: object) -> float | None:
    """``value`` where it is a number that exists."""
    return value if is_number(value) and not isinstance(value, bool) else None


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` where it has keys, else nothing."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Any]:
    """``value`` where it is a list, else nothing."""
    return value if isinstance(value, list) else []


def word(value: object) -> str | None:
    """``value`` where it is a text with something in it."""
    return value if isinstance(value, str) and value.strip() else None
