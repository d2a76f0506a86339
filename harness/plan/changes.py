"""Why a cell that was done before is to be done again: what changed since, in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from harness.errors import DamagedFile, HarnessError
from harness.plan.cell import Cell, cell_record
from harness.results.paths import RunPaths, read_json
from harness.results.reading import read_plan
from harness.suite.schema import AXES

CHANGED = {
    "data": "its data changed",
    "trained_on": "the data that it was trained on changed",
    "model": "the model's files changed",
    "adapter": "the adapter's files changed",
    "control": "the control set changed",
    "prompt": "the prompt style changed",
    "schema": "another version of the harness",
    "stages": "another version of the harness",
}
"""Name of a hash in ``cell.json`` → what it means that it is another one."""
MOST = 3
"""Settings that are named; more say nothing more."""
UNSEEN = frozenset({"base_folder", "report_to"})
"""Parts of a cell that its fingerprint leaves out."""


class Changes:
    """What the latest plan in a run directory did otherwise."""

    def __init__(self, run: RunPaths) -> None:
        self._run = run

    @cached_property
    def _planned(self) -> Mapping[tuple[object, ...], str]:
        """Axes → the key of the cell in the latest plan."""
        try:
            plan = read_plan(self._run.directory, given=str(self._run.directory))
        except (OSError, HarnessError, DamagedFile):
            return {}  # whoever needs the plan says so
        return {tuple(entry.get(axis) for axis in AXES): entry["key"] for entry in plan["cells"]}

    def of(self, cell: Cell, key: str, content: Mapping[str, str]) -> str | None:
        """What changed of ``cell`` since the latest plan; None if it is new, or nothing did."""
        before = self._planned.get(tuple(cell.axes.values()))
        if before is None or before == key:
            return None
        try:
            paths = self._run.cell(before)
            if not paths.result.is_file():
                return None  # it was never done
            job = read_json(paths.cell)
            hashes, settings = job["content"], job["cell"]
            names = [CHANGED[n] for n in CHANGED if hashes.get(n) != content.get(n)]
            names = names or _settings(settings, cell_record(cell))
        except (OSError, HarnessError, ValueError, TypeError, KeyError, AttributeError):
            return None  # a damaged file of an earlier run costs a reason, not the plan
        return ", ".join(dict.fromkeys(names)) or None


def _settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = [name for name in _apart(before, now) if name.partition(".")[0] not in UNSEEN]
    if not found:
        return []
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    return [f"changed: {', '.join(found[:MOST])}{more}"]


def _apart(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The dotted names of what is not equal on both sides."""
    for key in dict.fromkeys([*now, *before]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _apart(old, new, f"{place}{key}.")
        elif old != new and _plain(old) != _plain(new):
            yield f"{place}{key}"


def _plain(value: object) -> object:
    """``value`` as JSON holds it, where a tuple is a list."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
