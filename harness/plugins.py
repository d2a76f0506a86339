"""Plug-ins: packages that add metrics, data sets, executors or report sections when imported.

A package names a module in its ``pyproject.toml``; importing it registers what it adds::

    [project.entry-points."harness.plugins"]
    my-metrics = "my_package.harness_plugin"
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path

from harness.errors import HarnessError

GROUP = "harness.plugins"


@cache
def load_plugins() -> dict[str, str]:
    """Import every installed plug-in once; return their distributions and versions.

    Raises:
        HarnessError: a plug-in cannot be imported. Without it, the run would be a different one.
    """
    versions: dict[str, str] = {}
    for point in installed():
        name = point.dist.name if point.dist else point.module
        try:
            point.load()
        except Exception as error:  # a plug-in may raise anything; the message must name it
            raise _broken(point, name, error) from error
        versions[name] = point.dist.version if point.dist else ""
    return versions


def installed() -> list[EntryPoint]:
    """The entry points of every installed plug-in, by name.

    `entry_points` reads a file of each of hundreds of packages, 10 ms of processor time. Where
    there is no plug-in, each folder is looked through once until it changes: the workers of a fork
    server find what the server has seen.
    """
    if not any(_has_plugins(path, _time_of_change(path)) for path in sys.path):
        return []
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _time_of_change(path: str) -> int:
    """When ``path`` last got or lost a package; 0 if it is not there."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _has_plugins(path: str, changed: int) -> bool:
    """Whether a package in the folder ``path``, as of ``changed``, has a plug-in."""
    found = (package.entry_points for package in distributions(path=[path]))
    return any(points.select(group=GROUP) for points in found)


def _broken(point: EntryPoint, name: str, error: Exception) -> HarnessError:
    what = f'plug-in "{point.name}" of {name} cannot be imported'
    reason = f"{point.value}: {type(error).__name__}: {error}"
    return HarnessError(
        f"{what}: {reason}",
        hint=f"Repair it, or `pip uninstall {name}`: without it, results would differ.",
    )
