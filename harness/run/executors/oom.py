"""How often the kernel has killed for want of memory: in this job, and on the whole machine."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_FILES = {"cgroup2": "memory.events", "cgroup": "memory.oom_control"}
"""File system of the control group → where it counts; both have a line `oom_kill N`."""
_PROC = Path("/proc")


class OomKills(NamedTuple):
    """Processes that the kernel has killed so far; None where it does not say."""

    own: int | None = None
    """Of the control group that this process and its workers are in: a container, a job."""
    machine: int | None = None
    """Of the whole machine: other people's, too."""


def oom_kills(proc: Path = _PROC) -> OomKills:
    """The counters as ``proc`` has them now."""
    places = _places(_text(proc / "self/cgroup"), _text(proc / "self/mountinfo"))
    found = (_count(place) for place in places)
    own = next((count for count in found if count is not None), None)
    return OomKills(own, _count(proc / "vmstat"))


def _places(groups: str, mounts: str) -> list[Path]:
    """Where the counter of the own group may be: each mount shows a part of the tree of groups."""
    # `4:memory:/job/7`; of version 2 `0::/job/7`
    paths = {names: path for _, names, path in re.findall(r"^(\d+):([^:]*):(.*)$", groups, re.M)}
    found = []
    for line in mounts.splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = [*system.split(" ", 2), "", ""][:3]
        names = "" if kind == "cgroup2" else "memory"
        own = next((path for key, path in paths.items() if names in key.split(",")), None)
        if kind not in _FILES or own is None or (names and names not in options.split(",")):
            continue
        root, place = mount.split()[3:5]
        # in a container the mount begins at its own group, whose full path the list may name
        with suppress(ValueError):
            inside = PurePosixPath(own).relative_to(root)
            found.append(Path(place, inside, _FILES[kind]))
    return found


def _count(place: Path) -> int | None:
    found = re.search(r"^oom_kill (\d+)$", _text(place), re.MULTILINE)
    return int(found[1]) if found else None


def _text(place: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return place.read_text()
    return ""
