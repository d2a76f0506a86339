"""What another process does at a certain moment of this one, on every run of a test.

Python announces each file that it opens, renames or deletes before it does so (`sys.addaudithook`).
An action there is what a loaded machine does now and then: it lets another process go first.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

_rules: list[tuple[str, str, Callable[[], object]]] = []


def _announced(event: str, args: tuple[object, ...]) -> None:
    if not _rules or not args or not isinstance(args[0], str | os.PathLike):
        return
    for rule in list(_rules):
        name = os.fspath(args[0]) if "/" in rule[1] else Path(args[0]).name
        if rule[0] == event and fnmatchcase(name, rule[1]):
            _rules.remove(rule)  # once: the action does the same to the same file
            rule[2]()


@contextmanager
def refused(path: str) -> Iterator[None]:
    """Refuse each opening of the file ``path`` in the block, as to a user who may not read it."""

    def refuse() -> None:
        _rules.append(rule)  # each time, not once
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    rule = ("open", path, refuse)
    _rules.append(rule)
    try:
        yield
    finally:
        _rules.remove(rule)


sys.addaudithook(_announced)  # for good: Python has no way to take one off


@contextmanager
def just_before(event: str, name: str, action: Callable[[], object]) -> Iterator[None]:
    """Do ``action`` just before the first ``event`` of a file called ``name`` in the block.

    Args:
        event: `open`, `os.rename`, `os.remove` or `os.scandir`.
        name: The file's name, or a pattern of it; of a rename the old one.
        action: What another process does.
    """
    rule = (event, name, action)
    _rules.append(rule)
    try:
        yield
        assert rule not in _rules, f"there was no {event} of {name}"
    finally:
        if rule in _rules:
            _rules.remove(rule)
