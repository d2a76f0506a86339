"""What a report is made with, loaded while the run waits for its first worker.

The fork server takes seconds to import its libraries, with one core; meanwhile this process waits,
and another core idles. What the report would load at the end, when nothing else runs, is loaded
then: its own modules, the libraries of its numbers and tables, and the engine that draws charts,
which takes as long to start as it does for ten charts.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from threading import Thread

from harness.report.figure import Figure, can_draw

NAMES = ("harness.report.files", "harness.statistics", "scipy.special", "jinja2", "pyarrow.parquet")
"""Modules that a report imports, most of them only when it needs them."""
SMALL = Figure(
    "small", "A chart that nobody sees.",
    {
        "data": {"values": [{"name": "a", "value": 1}]},
        "mark": "point",
        "encoding": {"x": {"field": "value", "type": "quantitative"}, "y": {"field": "name"}},
    },
)  # fmt: skip


def preload() -> Thread:
    """Begin to load, in a thread of its own; whatever fails there is said when it is needed.

    The interpreter waits for the thread: an engine that is ended while it starts may crash.
    """
    thread = Thread(target=_load, name="preload")
    thread.start()
    return thread


@cache  # another run of this process finds it loaded
def _load() -> None:
    for name in NAMES:
        with suppress(Exception):
            import_module(name)
    if can_draw():
        with suppress(Exception):
            _ = SMALL.svg
