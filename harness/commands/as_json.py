"""`--json`: a command's result as one JSON value, alone on standard output."""

from __future__ import annotations

import json
import math

import click

from harness.results.text import say

AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def say_json(value: object) -> None:
    """Print ``value`` as strict JSON; notes and progress go to standard error."""
    text = json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False, default=str)
    say(text)


def _strict(value: object) -> object:
    """``value`` with null for NaN and infinity, which JSON has no words for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
