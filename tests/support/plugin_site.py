"""A plug-in for tests: a module with an entry point `harness.plugins`, found as an installed one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def write_plugin(site: Path, name: str, text: str) -> None:
    """Write the module ``name`` to ``site`` as a distribution with the entry point."""
    info = site / f"{name.replace('_', '-')}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(text)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[harness.plugins]\n{name} = {name}\n")


@contextmanager
def found_in(site: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process, the workers it starts, and commands (`PYTHONPATH`) find what is in ``site``.

    ``patch`` puts both paths back: it is that of the test, which may have changed them since.
    """
    from harness.plugins import load_plugins

    before = os.environ.get("PYTHONPATH")
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), before])))
    patch.syspath_prepend(str(site))
    load_plugins.cache_clear()
    yield
    load_plugins.cache_clear()
