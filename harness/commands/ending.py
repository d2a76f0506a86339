"""How a command ends: its exit code, and one line for whatever went wrong.

Exit code 1 means a regression and nothing else, so that a build can trust it. Python's own code for
an uncaught exception is 1 too, as is click's for Ctrl-C and a closed pipe: none may get through.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

import click

from harness import __version__
from harness.errors import HarnessError
from harness.extras import missing_package
from harness.results.text import printable, say
from harness.secret_texts import without_secrets

FAULT = 70
"""A fault of the harness itself: EX_SOFTWARE of BSD's sysexits.h."""
STOPPED = 130
"""Stopped by Ctrl-C: 128 and the signal's number, as shells count."""
PIPE_CLOSED = 141
"""Whoever read the output has ended, as in `harness show … | head`: 128 and SIGPIPE's number."""
EXIT_CODES = {
    0: "done; of `check`: nothing was shown to be worse",
    1: "of `check` alone: a regression",
    2: "the input is wrong, a file cannot be read or written, or a package is not installed: the"
    " message says which",
    3: "of `check`: no baseline was found, or the run cannot be compared with the one found",
    4: "a cell failed, or all of them were skipped; of `run --strict`: a cell was skipped",
    5: "of `doctor` alone: something is broken, or no cell of the suite can run here",
    FAULT: "a fault of the harness: the message names a file to report it with",
    STOPPED: "stopped by Ctrl-C; `run` continues with the same command",
    PIPE_CLOSED: "whoever read the output closed it, as `head` does",
}
"""Exit code → its meaning; docs/reference/commands.md is written from it."""
MESSAGE = 300
"""Characters of an unexpected exception's own words that are shown."""


def ended(error: BaseException) -> int:
    """Print what ``error``, which ended a command, means to the user; the exit code."""
    if isinstance(error, ImportError):
        error = missing_package(error) or error
    if isinstance(error, HarnessError):
        say(without_secrets(f"error: {error}"), err=True)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        say("stopped", err=True)
        return STOPPED
    if isinstance(error, BrokenPipeError):
        _write_nowhere()
        return PIPE_CLOSED
    if _is_of_the_machine(error):
        say(f"error: {_machine_words(error)}", err=True)
        return HarnessError.exit_code
    _report_fault(error)
    return FAULT


def _write_nowhere() -> None:
    """Python flushes its output once more as it ends, and would complain about the same pipe."""
    if (
        sys.__stdout__ and sys.stdout is sys.__stdout__
    ):  # not where a test has put a buffer of its own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno())


def _is_of_the_machine(error: BaseException) -> bool:
    """Whether the machine refused something: no space, no permission, a folder for a file."""
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError)
        and (error.filename is not None or error.errno in errno.errorcode)
    )


def _machine_words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "this machine has too little memory for it"
    assert isinstance(error, OSError)
    reason = error.strerror or str(error)
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    return f"{name}: {reason}" if name else reason


def _report_fault(error: BaseException) -> None:
    """Write the traceback to a file and ask for a report, in one line."""
    words = " ".join(printable(str(error)).split())[:MESSAGE]
    what = without_secrets(f"{type(error).__name__}: {words}" if words else type(error).__name__)
    text = without_secrets(_fault_text(error))
    try:
        handle, name = tempfile.mkstemp(prefix="harness-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:  # nowhere to write: the traceback must not be lost
        say(text, err=True)
        say(f"error: a fault of the harness ({what}); please report it", err=True)
        return
    say(f"error: a fault of the harness ({what}); please report it with {name}", err=True)


def _fault_text(error: BaseException) -> str:
    """What a report needs: versions, the command, the traceback; never a value of a variable."""
    command = " ".join([Path(sys.argv[0]).name, *map(repr, sys.argv[1:])])
    head = f"harness {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return f"{head}\n{command}\n\n{''.join(traceback.format_exception(error))}"
