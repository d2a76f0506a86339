"""Names of lm-evaluation-harness to tasks, by the tool's own index of YAML files.

The trap in it: the index has some 14,000 names in as many files, which take ten seconds to parse.
So the folder that declares a name is found by the text of its files, and that folder alone is
parsed; a name that is found in none has the whole index parsed, for its tags and for close names.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from harness.datasets.lm_eval_yaml import Member
from harness.errors import HarnessError

PACKAGE = "lm_eval"
NOWHERE = Path("/nowhere-of-lm_eval")
"""In place of a folder of the tool's tasks: none of them, the user's own alone."""
OF_GROUPS = frozenset(
    {"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag", "include"}
)
"""Keys of a group that its tasks do not inherit."""


@dataclass(frozen=True)
class OwnTasks:
    """A folder of the user's tasks, as its YAML files are now: a cache forgets an edited one."""

    folder: Path
    state: tuple[tuple[str, int], ...]


def own_tasks(folder: Path) -> OwnTasks:
    """The tasks in ``folder``."""
    files = sorted(folder.rglob("*.yaml"))
    return OwnTasks(folder, tuple((str(path), path.stat().st_mtime_ns) for path in files))


class Indexed(NamedTuple):
    """A name in the tool's index."""

    entry: Any
    """The tool's `Entry`: its kind (task, group or tag), settings and file."""
    members: tuple[Member, ...]
    """The task, or those of the group or tag."""
    manager: Any
    """A `TaskManager` that can load it."""


@cache
def find_task(name: str, own: OwnTasks | None) -> Indexed:
    """The task or group ``name``, among the user's ``own`` first.

    Raises:
        HarnessError: there is none, with close names; or it is a tag, with the tasks behind it.
    """
    manager = _manager_with(name, own)
    index = manager.task_index
    entry = index.get(name)
    if entry is None:
        _refuse_broken(own)
        hint = _nearest(name, {*index, *_shipped_names()})
        raise HarnessError(f'lm-evaluation-harness has no task "{name}"', hint=hint)
    if entry.kind.name == "TAG":
        names = ", ".join(sorted(entry.tags))
        hint = f"Name each as a data set of its own: {names}."
        raise HarnessError(f'"{name}" is a tag, which has no score of its own', hint=hint)
    try:
        return Indexed(entry, tuple(_members(name, index)), manager)
    except KeyError as error:
        what = f'the group "{name}" lists a task {error} that does not exist'
        raise HarnessError(what, where=str(entry.yaml_path)) from None


def _refuse_broken(own: OwnTasks | None) -> None:
    """Refuse a file of the user's that cannot be parsed: the tool would leave it out in silence."""
    from lm_eval.tasks._yaml_loader import load_yaml

    for path, _ in own.state if own else ():
        try:
            load_yaml(path, resolve_func=False)
        except Exception as error:  # of the parser, of an include, of what is no mapping
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark else path
            text = str(getattr(error, "problem", None) or error).splitlines()[0]
            raise HarnessError(f"cannot be read: {text}", where=where) from None


def _nearest(name: str, names: Collection[str]) -> str:
    """Names close to ``name``: of 14,000, a list of the first ones would be no help."""
    near = get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return "`lm_eval ls tasks` lists them; name a folder of your own tasks by `include_path`."


def _manager_with(name: str, own: OwnTasks | None) -> Any:
    """A `TaskManager` of as few files as know ``name`` and all that it is made of."""
    nothing = _manager(NOWHERE, own)
    missing = _missing(nothing, name)
    if missing is None:
        return nothing
    for folder in _folders_with(name):
        if _missing(_manager(folder, own), name) is None:
            return _manager(folder, own)
    # what no file mentions is no tag either: parsing all of them would find nothing
    return _manager(None, own) if _is_mentioned(missing) else nothing


def _missing(manager: Any, name: str) -> str | None:
    """What ``manager`` lacks of ``name``: itself, or a task in it; None where it has all."""
    try:
        list(_members(name, manager.task_index))
    except KeyError as error:
        return str(error.args[0])
    return None


@cache
def _manager(folder: Path | None, own: OwnTasks | None) -> Any:
    """The tool's `TaskManager` of ``folder`` (None: all that it ships) and of ``own``."""
    logging.getLogger(PACKAGE).setLevel(logging.ERROR)  # it warns of each default it fills in
    from lm_eval.tasks import TaskManager

    paths = [] if folder in (None, NOWHERE) else [str(folder)]
    paths += [str(own.folder)] if own else []
    return TaskManager(include_path=paths, include_defaults=folder is None)


_DECLARED = re.compile(
    rb"^[\"']?(?:task|group)[\"']?[ \t]*:[ \t]*[\"']?([^\s\"'#\[{][^\s\"'#]*)", re.MULTILINE
)
"""Where a YAML file says its own name."""


class _Shipped(NamedTuple):
    """A YAML file of the tool, as text."""

    folder: Path
    """The folder right under the tool's own that it is in."""
    content: bytes


@cache
def _shipped() -> tuple[_Shipped, ...]:
    """The tool's files in the order of its index: 7 MB of text, a second where parsing takes ten.

    Kept, because a suite names several tasks.
    """
    spec = find_spec(f"{PACKAGE}.tasks")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    paths = sorted(root.glob("*/**/*.yaml"), key=lambda path: path.as_posix())
    return tuple(_Shipped(root / p.relative_to(root).parts[0], p.read_bytes()) for p in paths)


@cache
def _shipped_names() -> frozenset[str]:
    found = (name for file in _shipped() for name in _DECLARED.findall(file.content))
    return frozenset(name.decode("utf-8", "replace") for name in found)


def _folders_with(name: str) -> Iterator[Path]:
    """The tool's folders in whose files ``name`` is declared, in the order of its index."""
    wanted = name.encode()
    found = (f.folder for f in _shipped() if wanted in _DECLARED.findall(f.content))
    yield from dict.fromkeys(found)


def _is_mentioned(name: str) -> bool:
    """Whether any file of the tool holds ``name`` as a word of its own: a tag may be anywhere."""
    word = re.compile(rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])")
    return any(word.search(file.content) for file in _shipped())


def _members(
    name: str, index: Mapping[str, Any], over: Mapping[str, Any] | None = None
) -> Iterator[Member]:
    """Each task of ``name`` with its settings and its file.

    Raises:
        KeyError: the index lacks one.
    """
    entry = index[name]
    config = {**(entry.cfg or {}), **(over or {})}
    if entry.kind.name == "TAG":
        for member in sorted(entry.tags):
            yield from _members(member, index, over)
    elif entry.kind.name == "GROUP":
        yield from _of_group(name, config, entry.yaml_path, index)
    else:
        yield Member(name, config, entry.yaml_path)


def _of_group(
    name: str, config: Mapping[str, Any], path: Path, index: Mapping[str, Any]
) -> Iterator[Member]:
    """The tasks that a group lists: by name, with settings of their own, or written in place."""
    passed_on = {key: value for key, value in config.items() if key not in OF_GROUPS}
    listed = config.get("task") or []
    for item in listed if isinstance(listed, list) else [listed]:
        own = dict(item) if isinstance(item, dict) else {}
        member = str(own.get("group") or own.get("task") if own else item)
        kept = {key: value for key, value in own.items() if key not in ("task", "group")}
        if member in index:
            yield from _members(member, index, {**passed_on, **kept})
        elif "group" in own:
            yield from _of_group(f"{name}::{member}", {**passed_on, **own}, path, index)
        elif kept:
            yield Member(f"{name}::{member}", {**passed_on, **kept}, path)
        else:
            raise KeyError(member)
