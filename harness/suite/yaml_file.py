"""YAML with the line of every key, numbers read as numbers, and duplicate keys refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from harness.errors import HarnessError


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `2e-4` is a number, `no` and `on` are strings."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of ``node``; one that Python cannot hold is an error with its line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, OverflowError):
            # What PyYAML itself does not catch: a date of month 13, a number of 5,000 digits.
            if not isinstance(node, yaml.ScalarNode):
                raise
            tag = node.tag.rpartition(":")[2]
            kind = {"int": "a number", "float": "a number", "timestamp": "a date"}.get(tag, tag)
            problem = f'"{node.value[:40]}" cannot be read as {kind}; quote it if it is a text'
            raise ConstructorError(None, None, problem, node.start_mark) from None


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in _REPLACED]
    for _REPLACED in [("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


@dataclass(frozen=True)
class YamlFile:
    """A parsed file and its node tree, for ``file:line`` in messages."""

    path: Path
    value: Any
    node: yaml.Node | None

    def line(self, keys: Sequence[str | int]) -> int:
        """The 1-based line of the node at ``keys``, or of its nearest existing parent."""
        node, line = self.node, 1
        for key in keys:
            found = _child(node, key)
            if found is None:
                break
            line, node = found.line, found.node
        return line

    def where(self, keys: Sequence[str | int]) -> str:
        """``file:line`` of the node at ``keys``."""
        return f"{self.path}:{self.line(keys)}"


@dataclass(frozen=True)
class _Child:
    node: yaml.Node
    line: int


def _child(node: yaml.Node | None, key: str | int) -> _Child | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return _Child(value, name.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        item = node.value[key]
        return _Child(item, item.start_mark.line + 1)
    return None


def read_yaml(path: Path) -> YamlFile:
    """The content of ``path``.

    Raises:
        HarnessError: the file is absent, is no YAML, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = "Give the path of a suite, such as suites/finance.yaml."
        raise HarnessError("no such file", where=str(path), hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"cannot be read: {error}", where=str(path)) from None
    try:
        node = yaml.compose(text, Loader=_Loader)
        _check_nodes(path, node)
        return YamlFile(path, yaml.load(text, Loader=_Loader), node)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        # PyYAML's scanner: an escape that names no character.
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise HarnessError(f"not valid YAML: {reason[:200]}", where=str(path)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise HarnessError(f"not valid YAML: {problem}", where=where) from None


def _check_nodes(path: Path, root: yaml.Node | None) -> None:
    """Refuse keys that are no texts or are there twice, and an anchor within itself.

    Each node is visited once: ten anchors that repeat each other ten times are 10^10 places.
    """
    done: set[int] = set()
    above: set[int] = set()

    def visit(node: yaml.Node | None) -> None:
        if node is None or id(node) in done:
            return
        if id(node) in above:
            where = f"{path}:{node.start_mark.line + 1}"
            raise HarnessError("an anchor that contains itself", where=where)
        above.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                visit(item)
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
            for _, value in node.value:
                visit(value)
        above.discard(id(node))
        done.add(id(node))

    visit(root)


def _check_keys(path: Path, node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        where = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise HarnessError("a key is a list or a mapping", where=where, hint="Quote it.")
        if key.value in seen:
            raise HarnessError(f'duplicate key "{key.value}"', where=where)
        seen.add(key.value)
