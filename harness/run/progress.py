"""Progress on stderr: one bar and the stage of every running cell, plain lines off a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from harness.results.text import console, printable
from harness.run.executors.base import Event


class SuiteProgress:
    """A context that shows the events of a run."""

    def __init__(self, total: int) -> None:
        self._console = console(stderr=True)
        # rich takes FORCE_COLOR for a terminal, and a log would get a bar a quarter second
        self._is_live = self._console.is_terminal and sys.stderr.isatty()
        self._total = total
        self._ends: list[float] = []
        self._at_once = 1
        self._began = time.monotonic()
        self._started: dict[str, float] = {}
        self._stages: dict[str, str] = {}
        self._bar = Progress(
            TextColumn("cells"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"), console=self._console,
        )  # fmt: skip
        self._task = self._bar.add_task("cells", total=total, left="")
        # a function, because the clocks go on between two events
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._shown)

    def __enter__(self) -> SuiteProgress:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        self._started.setdefault(event.key, time.monotonic())
        self._at_once = max(self._at_once, len(self._started) - len(self._ends))
        if event.kind == "stage":
            self._stages[event.key] = event.text
        else:
            self._end(event)
        if self._is_live:
            self._live.refresh()

    def _shown(self) -> Group:
        return Group(*self._lines(), self._bar)

    def _end(self, event: Event) -> None:
        self._ends.append(time.monotonic())
        self._stages.pop(event.key, None)
        self._bar.update(self._task, advance=1, left=self._left())
        seconds = time.monotonic() - self._started[event.key]
        mark = {"done": "ok", "failed": "FAILED", "skipped": "skipped"}[event.kind]
        reason = f": {event.text.splitlines()[0]}" if event.text else ""
        line = f"[{len(self._ends)}/{self._total}] {mark} {event.key} {seconds:.1f} s{reason}"
        if not self._is_live:  # a log has no bar to read it from
            line += f" ({_clock(time.monotonic() - self._began)} elapsed{self._left(', ')})"
        self._console.print(line, soft_wrap=True)

    def _left(self, before: str = "") -> str:
        """``about 12:30 left``; empty at the end, and until something is known of the pace.

        The first cells, one for each that runs at the same time, say nothing: the imports of their
        process are in them, and baselines do not train. The pace is that of the ends after
        theirs. As many again are waited for, because cells that began together end together.
        """
        ended, first = len(self._ends), self._at_once
        remaining = self._total - ended
        if ended < 2 * first or remaining <= 0:
            return ""
        pace = (self._ends[-1] - self._ends[first - 1]) / (ended - first)
        return f"{before}about {_clock(pace * remaining)} left"

    def _lines(self) -> list[Text]:
        width = max(20, self._console.width - 20)
        now = time.monotonic()
        return [
            Text(
                printable(f"{stage:<9} {_clock(now - self._started[key]):>7}  {key[:width]}"),
                style="dim",
            )
            for key, stage in list(self._stages.items())  # drawn by a thread of its own
        ]


def _clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    whole = int(seconds)
    minutes = f"{whole // 60 % 60:02d}" if whole >= 3600 else f"{whole // 60}"
    return f"{f'{whole // 3600}:' if whole >= 3600 else ''}{minutes}:{whole % 60:02d}"
