"""Text that a model or a file wrote, made safe for the place where it is shown.

An answer may hold a terminal's escape sequences, which recolour the screen or rewrite a line above;
a name may look like rich's markup (`r8[attn]`, `[/INST]`); a cell of a CSV file that begins with
`=` runs as a formula in a spreadsheet. Everything that a command prints goes through `say` or
`console`.
"""

from __future__ import annotations

import errno
import os
import re
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""C0 without tab and newline, DEL, C1 (0x9b starts a sequence, too), marks that turn the direction
of what follows, lone surrogates, which no stream can encode, and what XML cannot hold."""
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet read a cell as a formula (OWASP, CSV injection); the wide forms too."""


def printable(text: str) -> str:
    r"""``text`` with control characters spelled out as ``\u001b``, the form that JSON uses too."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_cell(value: object) -> object:
    """``value`` as a CSV file may hold it: a text that a spreadsheet would run gets a quote.

    Numbers stay as they are, negative ones too. Control characters are spelled out: `cat` of the
    file would send them to the terminal.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print ``text`` to standard output, or with ``err`` to standard error."""
    click.echo(printable(str(text)), err=err, nl=nl)


def console(
    *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None
) -> Console:
    """A rich console that shows every text as it is: no markup, no emoji codes, no escapes."""
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """The one place where rich turns a string into what is shown."""

        def render_str(self, text: str, **options: Any) -> Text:
            """``text`` with its control characters spelled out."""
            return super().render_str(printable(text), **options)

        def on_broken_pipe(self) -> None:
            """Let the command end by its own exit code: rich's is 1, which is a regression here."""
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return Plain(stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False)
