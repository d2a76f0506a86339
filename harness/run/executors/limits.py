"""How long a cell may take, and when one that does nothing any more is given up.

Seconds in which a worker stands still because another measures, or waits for its turn to measure,
do not count. Without `--cell-timeout` there is no limit on the time of a cell that works: how long
one takes is not known before, and a guess would end a long training an hour before its end.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from harness.run.executors import stopping

STALL_SECONDS = 600.0
"""A worker that uses no processor time for so long is hung: even one that waits for a GPU polls it,
and a download that gets no byte in ten minutes gets none."""
STALL_CPU = 0.05
"""Processor seconds up to which it counts as none: threads that poll wake up now and then."""
LOOK_SECONDS = 5.0
"""Between two looks at what the workers do."""
DUMP_SECONDS = 0.2
"""For a hung worker to write where it hangs into its log."""


@dataclass(frozen=True)
class Limits:
    """What an executor allows a cell."""

    seconds: float | None = None
    """Of one attempt; None: as long as it takes."""
    retry: int = 0
    """How often a cell is tried again that was lost."""
    stall: float = STALL_SECONDS
    """Seconds without any processor time after which a worker is hung."""

    @property
    def look(self) -> float:
        """Seconds between two looks: a tenth of the shortest limit."""
        return min(LOOK_SECONDS, self.stall / 10, (self.seconds or self.stall) / 10)


@dataclass
class Watch:
    """The clock of one worker."""

    pid: int
    worked: float = 0.0
    """Seconds that it was free to work."""
    still: float = 0.0
    """Of these the latest in which it used no processor."""
    may_wait: float = 0.0
    """Seconds that the server of its model may keep it waiting: its suite says how long."""
    _cpu: float = 0.0
    _looked: float = field(default_factory=time.monotonic)

    def look(self, limits: Limits, *, free: bool) -> str | None:
        """Why the worker is to be ended, after one more look at it; None: it goes on.

        Args:
            limits: What it may take.
            free: Whether it could work since the last look.
        """
        now = time.monotonic()
        if now - self._looked < limits.look:
            return None
        # after Ctrl-Z and `fg` hours may have passed in which nothing ran, this process included
        passed, self._looked = min(now - self._looked, 4 * limits.look), now
        if not free:
            self.still = 0.0
            return None
        self.worked += passed
        cpu = stopping.cpu_seconds([self.pid])
        self.still = self.still + passed if cpu - self._cpu <= STALL_CPU else 0.0
        if self.still == 0.0:
            self._cpu = cpu
        if limits.seconds is not None and self.worked > limits.seconds:
            return f"it took longer than --cell-timeout, {limits.seconds:g} s, and was ended"
        most = limits.stall + self.may_wait
        if self.still > most:
            state = "was stopped from outside" if stopping.is_stopped(self.pid) else "hung"
            return f"it {state}: no processor time used in {most:g} s, so it was ended"
        return None


def end_all(pids: Sequence[int]) -> None:
    """Kill the processes ``pids`` with all that they started, stopped ones as well."""
    stopping.end(stopping.family(pids))


def end_with_trace(pid: int) -> None:
    """Kill a hung worker; before that it writes the Python stack where it hangs into its log."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGUSR1)
    time.sleep(DUMP_SECONDS)
    end_all([pid])
