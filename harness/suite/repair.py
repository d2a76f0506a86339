"""A suite with mistakes, and what is left of it: so that one kind of mistake hides no other.

A file whose keys are wrong has names, data and options that can be checked all the same. What is
wrong is reported and then taken out or replaced by a stand-in, until the rest is a suite.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.suite.schema import AXES, Suite
from harness.suite.validation import Problem, problems_of
from harness.suite.yaml_file import YamlFile

ROUNDS = 12
"""Attempts: a key that is taken out can uncover another problem of its block."""
STAND_IN = "(stand-in)"
"""The name of what replaces an unusable entry or axis; it never appears in a message."""
NEEDED: Mapping[str, Any] = {
    "name": "stand-in",
    "matrix": {"model": [STAND_IN], "adapter": ["base"], "dataset": [STAND_IN]},
}
"""What a suite cannot do without, by its path."""


@dataclass(frozen=True)
class Repaired:
    """A suite as far as it can be used, and what is wrong with the file."""

    suite: Suite | None
    problems: tuple[str, ...]


def repaired(file: YamlFile) -> Repaired:
    """The usable part of the suite in ``file``; None where nothing is usable.

    Raises:
        HarnessError: the file holds no keys and values.
    """
    if not isinstance(file.value, dict):
        raise HarnessError("expected keys and values at the top", where=f"{file.path}:1")
    try:
        value = copy.deepcopy(file.value)
    except RecursionError:
        raise HarnessError("nested too deeply", where=str(file.path)) from None
    problems: dict[str, None] = {}
    for _ in range(ROUNDS):
        try:
            return Repaired(Suite.model_validate(value), tuple(problems))
        except ValidationError as error:
            for problem in problems_of(Suite, file, error):
                problems.setdefault(problem.text)
                _mend(value, problem)
    return Repaired(None, tuple(problems))


def _mend(value: dict[str, Any], problem: Problem) -> None:
    """Take what is wrong out of ``value``, or put a stand-in there."""
    path = problem.path
    for depth, part in enumerate(path):
        if isinstance(part, int) and (depth < 2 or path[depth - 1] not in AXES):
            path = path[:depth]  # an item of a list that is no axis: the whole list goes
            break
    parent: Any = value
    for part in path[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return
    if path:
        _replace(parent, path, problem)


def _replace(parent: Any, path: tuple[str | int, ...], problem: Problem) -> None:
    last = path[-1]
    if isinstance(parent, list) and isinstance(last, int) and last < len(parent):
        item = parent[last]
        name = item.get("name") if isinstance(item, dict) else item
        # Its place in the list stays, so that later problems keep their lines.
        parent[last] = {"name": name if isinstance(name, str) else f"{STAND_IN} {last}"}
    elif isinstance(parent, dict):
        parent.pop(last, None)
        needed = path == ("name",) or path == ("matrix",) or path[:1] == ("matrix",)
        if len(path) == 1 and needed and last in NEEDED:
            parent[last] = copy.deepcopy(NEEDED[str(last)])
        elif len(path) == 2 and last in NEEDED["matrix"]:
            parent[last] = copy.deepcopy(NEEDED["matrix"][last])
        elif problem.kind == "missing" and last == "name":
            parent[last] = f"{STAND_IN} {path[-2]}"
