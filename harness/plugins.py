"""Plug-ins: packages that add metrics, data sets, executors or report sections when imported.

A package names a module in its ``pyproject.toml``; importing it registers what it adds::

    [project.entry-points."harness.plugins"]
    my-metrics = "my_package.harness_plugin"
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from harness.errors import HarnessError

GROUP = "harness.plugins"


@cache
def load_plugins() -> dict[str, str]:
    """Import every installed plug-in once; return their distributions and versions.

    Raises:
        HarnessError: a plug-in cannot be imported. Without it, the run would be a different one.
    """
    versions: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        name = point.dist.name if point.dist else point.module
        try:
            point.load()
        except Exception as error:  # a plug-in may raise anything; the message must name it
            raise _broken(point, name, error) from error
        versions[name] = point.dist.version if point.dist else ""
    return versions


def _broken(point: EntryPoint, name: str, error: Exception) -> HarnessError:
    what = f'plug-in "{point.name}" of {name} cannot be imported'
    reason = f"{point.value}: {type(error).__name__}: {error}"
    return HarnessError(
        f"{what}: {reason}",
        hint=f"Repair it, or `pip uninstall {name}`: without it, results would differ.",
    )
