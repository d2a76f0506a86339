"""What a worker knows of the program that started the run.

Each worker runs the parent's main module again, as multiprocessing does, so that what a script
defines is there: a metric that it registers, say. Programs that define nothing are left out. The
command line would cost each worker 40 ms of processor time, Ray's own program 0.6 s: it imports
Ray.

The worker does it itself, after its log is open. multiprocessing would do it before, where an error
ends the process without a word, and where a script that starts its run without
`if __name__ == "__main__":` starts another run in every worker. Here such a script ends at its run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import spawn
from pathlib import Path, PurePath
from types import ModuleType

from harness.errors import HarnessError

MODULES = ("harness.cli", "submitit.core._submit")
"""Run as `python -m`."""
FILES = ("harness", "default_worker.py")
"""Run by their path: the command as `pip` installs it, and what Ray starts on a node."""
Program = Mapping[str, str]
"""How multiprocessing says which main module a process runs again; empty: none."""

_running_again = False


class RunBegins(BaseException):
    """The program that is run again has come to where it starts its run.

    No `Exception`, so that a script which catches those of a run does not go on.
    """


def program() -> Program:
    """The main module of this process, for `run_again` in a worker."""
    main = sys.modules["__main__"]
    if _is_program(main):
        return {}
    sent = spawn.get_preparation_data("worker")
    path = sent.get("init_main_from_path")
    if path is not None and not Path(path).is_file():
        return {}  # "<stdin>": a script that came by a pipe has no file to run again
    return {name: value for name, value in sent.items() if name.startswith("init_main")}


@contextmanager
def hidden_program() -> Iterator[None]:
    """Hide the main module from processes that start meanwhile: they run it by `run_again`."""
    main = sys.modules["__main__"]
    before = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    for name in before:  # where multiprocessing looks for it
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)


def run_again(program: Program) -> None:
    """Run the main module of the parent in this worker, up to where it starts a run.

    Raises:
        HarnessError: it failed.
    """
    global _running_again
    _running_again = True
    try:
        if name := program.get("init_main_from_name"):
            spawn._fixup_main_from_name(name)  # type: ignore[attr-defined]
        elif path := program.get("init_main_from_path"):
            spawn._fixup_main_from_path(path)  # type: ignore[attr-defined]
    except RunBegins:
        pass  # what comes after it is for the process that has the run
    except (Exception, SystemExit) as error:
        where = "".join(program.values())
        said = f"{type(error).__name__}: {error}"
        hint = 'Put what only the run\'s own process should do under `if __name__ == "__main__":`.'
        raise HarnessError(
            f"each worker runs {where} again, which failed: {said}", hint=hint
        ) from error
    finally:
        _running_again = False


def end_if_run_again() -> None:
    """End the program here if a worker runs it again: the run is going on already.

    Raises:
        RunBegins: it does.
    """
    if _running_again:
        raise RunBegins


def _is_program(main: ModuleType) -> bool:
    if main.__spec__ is not None:
        return main.__spec__.name in MODULES
    return PurePath(getattr(main, "__file__", None) or "").name in FILES
