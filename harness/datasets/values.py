"""A value of a table to the text that a model reads: understood, or refused with its place."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal

from harness.errors import HarnessError

NULL_WORDS = frozenset({"nan", "none", "null", "n/a", "na", "<na>"})
"""Texts that may be how some tool wrote a missing value. They stay texts, and are counted."""


def value_at(row: Mapping[str, object], column: str) -> object:
    """The value of ``column``, or at a path into it such as `answers.text`; None if absent."""
    if column in row or "." not in column:
        return row.get(column)
    value: object = row
    for key in column.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def text_of(value: object, column: str, place: str) -> str:
    """``value`` as text, blanks at its ends cut; "" for null, NaN and blank ones.

    Raises:
        HarnessError: it is a list, an object or bytes, whose Python text nobody wants to train on.
    """
    if isinstance(value, str):
        return whole(value.strip(), f'column "{column}"', place)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"  # as JSON and YAML write it
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise _refused(value, column, place)


def texts_of(value: object, column: str, place: str) -> tuple[str, ...]:
    """``value`` as accepted answers: a text, a list of them, or SQuAD's `{"text": [...]}`.

    Raises:
        HarnessError: it is something else.
    """
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = value["text"]
    if not isinstance(value, list):
        text = text_of(value, column, place)
        return (text,) if text else ()
    texts = (text_of(item, column, place) for item in value)
    return tuple(dict.fromkeys(text for text in texts if text))


def whole(text: str, holder: str, place: str) -> str:
    """``text``, which no half of a character is in; ``holder`` says what it is of.

    Raises:
        HarnessError: JSON named half of a surrogate pair, which no UTF-8 file can hold.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            hint = "It is half of a surrogate pair such as \\ud83d; write the character itself."
            raise HarnessError(
                f"{holder} holds a broken character", where=place, hint=hint
            ) from None
    return text


def _refused(value: object, column: str, place: str) -> HarnessError:
    if isinstance(value, Mapping):
        keys = ", ".join(map(str, value))
        path = f"{column}.{next(iter(value), 'key')}"
        hint = f"Its keys: {keys}. Name one under `columns`, such as `{path}`."
        return HarnessError(f'column "{column}" holds an object', where=place, hint=hint)
    if isinstance(value, list):
        hint = "Only the reference may be a list (of accepted answers), or messages of a chat."
        return HarnessError(f'column "{column}" holds a list', where=place, hint=hint)
    kind = type(value).__name__
    return HarnessError(f'column "{column}" holds {kind}, not text', where=place)
