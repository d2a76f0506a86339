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

MOST_BYTES = 256 * 2**10
"""Largest file that is read: PyYAML reads some 200 KB a second, no suite that ships has 6 KB."""
MOST_DEPTH = 40
"""Levels of keys and lists within each other: a suite has seven."""
MOST_VALUES = 200_000
"""Values of a file with every alias written out: ten lines of aliases can stand for 10^10."""
MOST_DIGITS = 300
"""Digits of a number. Python refuses to print one of more than 4,300, even in a message."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `2e-4` is a number, `no`, `on` and `12:30` are strings, `010` is ten."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node of the file; refused where it lies too deep, before Python's own limit."""
        self.depth += 1
        try:
            if self.depth > MOST_DEPTH:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise ConstructorError(None, None, "nested too deeply", mark)
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of ``node``; one that Python cannot hold is an error with its line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, OverflowError, LookupError):
            # What PyYAML itself does not catch: a date of month 13, a number of 5,000 digits, a
            # list tagged as a number.
            tag = node.tag.rpartition(":")[2]
            kind = {"int": "a number", "float": "a number", "timestamp": "a date"}.get(tag, tag)
            if isinstance(node, yaml.ScalarNode):
                problem = f'"{node.value[:40]}" cannot be read as {kind}; quote it if it is a text'
            else:
                problem = f"a list or a mapping cannot be read as {kind}; delete the tag"
            raise ConstructorError(None, None, problem, node.start_mark) from None

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """A whole number: `010` is ten, as in YAML 1.2, where 1.1 read eight."""
        text = str(self.construct_scalar(node))
        if len(text) > MOST_DIGITS:
            raise ValueError
        return int(text, {"0x": 16, "0o": 8}.get(text.lower().lstrip("+-")[:2], 10))


_REPLACED = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in _REPLACED]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


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

    def place(self, keys: Sequence[str | int]) -> str:
        """``file:line: a.b.c`` of the node at ``keys``, as a problem of it begins."""
        return f"{self.where(keys)}: {'.'.join(map(str, keys)) or 'file'}"


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
        HarnessError: the file is absent, is not YAML, has a key twice, or is too large or deep.
    """
    return _parsed(_text(path), path)


def parse_value(text: str, where: str) -> Any:
    """The value of ``text``, such as that of an option `--set r=16`, by the rules of a suite.

    Raises:
        HarnessError: it is not YAML; the message begins with ``where``.
    """
    return _parsed(text, Path(where)).value


def _parsed(text: str, path: Path) -> YamlFile:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_nodes(path, node)
        return YamlFile(path, loader.construct_document(node) if node else None, node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        if "character '\\t'" in problem:
            problem = "a tab begins a key or a value; YAML is indented with spaces"
        raise HarnessError(f"not valid YAML: {problem}", where=where) from None
    except (ValueError, OverflowError) as error:
        # PyYAML's scanner: an escape that names no character, a version of 5,000 digits.
        raise HarnessError(f"not valid YAML: {str(error)[:200]}", where=str(path)) from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)  # a device such as /dev/zero never ends
        if len(data) > MOST_BYTES:
            hint = "Give a suite; data goes into a file of its own, named by `source`."
            what = f"has more than {MOST_BYTES // 2**10} KiB: too large for a suite"
            raise HarnessError(what, where=str(path), hint=hint)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Give the path of a suite, such as suites/finance.yaml."
        raise HarnessError("no such file", where=str(path), hint=hint) from None
    except UnicodeDecodeError as error:
        what = f"not UTF-8: byte {error.start} cannot be read"
        raise HarnessError(what, where=str(path), hint="Save the file as UTF-8.") from None
    except (OSError, ValueError) as error:
        raise HarnessError(f"cannot be read: {error}", where=str(path)) from None


def _check_nodes(path: Path, root: yaml.Node | None) -> None:
    """Refuse keys that are not texts or are there twice, and anchors that grow without end.

    Each node is visited once, and its size with all aliases written out is added up.
    """
    sizes: dict[int, int] = {}
    above: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        where = f"{path}:{node.start_mark.line + 1}"
        if id(node) in above:
            raise HarnessError("an anchor that contains itself", where=where)
        above.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
        children = node.value if isinstance(node, yaml.CollectionNode) else ()
        found = 1
        for child in children:
            found += size(child[1] if isinstance(child, tuple) else child)
        if found > MOST_VALUES:
            what = f"holds more than {MOST_VALUES:,} values, with its aliases written out"
            raise HarnessError(what, where=where, hint="Use fewer aliases (`*name`).")
        above.discard(id(node))
        sizes[id(node)] = found
        return found

    if root is not None:
        size(root)


def _check_keys(path: Path, node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        where = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise HarnessError("a key is a list or a mapping", where=where, hint="Quote it.")
        if key.value in seen:
            raise HarnessError(f'duplicate key "{key.value}"', where=where)
        seen.add(key.value)
