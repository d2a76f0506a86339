"""Lines as wide as the terminal; what goes to a pipe or a file keeps its lines whole."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

from harness.results.text import say

WHOLE = 10_000
"""Columns of a table that goes to a pipe: its values are for a script, and must not be broken."""
INDENT = "    "
"""Before the later lines of a text that is wrapped."""


def screen_width() -> int | None:
    """Columns of the terminal; None if the output goes to a pipe or a file.

    The variable COLUMNS, if it is set, is a wish that holds for a pipe, too.
    """
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitted(text: str, indent: str = INDENT) -> str:
    """``text`` in lines that fit the terminal, the later ones after ``indent``."""
    width = screen_width()
    if width is None or len(text) <= width:
        return text
    own = text[: len(text) - len(text.lstrip())]
    inner = textwrap.TextWrapper(
        width, initial_indent=own, subsequent_indent=own + indent, break_on_hyphens=False
    )
    return "\n".join(inner.wrap(text.strip()))


def say_fitted(text: str, indent: str = INDENT) -> None:
    """Print ``text`` to standard output in lines that fit the terminal."""
    say(fitted(text, indent))
