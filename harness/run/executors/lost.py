"""Why a worker ended without a result, in words, and whether trying again may help."""

from __future__ import annotations

import re
import signal

from harness.plan.devices import DIED
from harness.plan.hub import is_offline
from harness.results.paths import CellPaths, read_json, write_json
from harness.run.executors.oom import OomKills, oom_kills

LOST = "the worker died: "
"""How the reason of a worker begins that ended without saying anything."""
KERNEL = f"{LOST}killed by the kernel"
"""So ends a worker for which the machine had no memory; a process that is killed says nothing."""
SERVER_GONE = 255
"""What multiprocessing reports of a process whose fork server was killed."""
SMALLER_BATCH = "a smaller batch may fit"
"""What the reason of a training says that ran out of memory, where the suite allows another."""
LESS = "Lower `evaluation.batch_size` or --workers"
"""What to do where memory ran out."""
_HUB = re.compile(
    r"timed? ?out|Timeout|Connection(Error|ResetError| aborted| broken| reset)|IncompleteRead"
    r"|Temporary failure in name resolution|\b(429|50[0234])\b.*(Error|error|for url)"
    # as httpx and the libraries over it say it
    r"|Server disconnected|peer closed connection|Remote end closed|Connection refused"
    r"|Network is unreachable|check your connection|couldn't connect to"
)
"""A hub or a network that may answer the next time; a page that is not there will not."""


def died(exit_code: int | None, *, oom_before: OomKills) -> str:
    """The reason of a cell whose worker ended with ``exit_code`` and no word.

    Args:
        exit_code: As `multiprocessing` gives it: negative for a signal.
        oom_before: `oom_kills` when the worker started.
    """
    if exit_code is None or exit_code == SERVER_GONE:
        return f"{LOST}the fork server that had started it was killed"
    if exit_code >= 0:
        return f"{LOST}exit code {exit_code}"
    if -exit_code != signal.SIGKILL:
        name = signal.strsignal(-exit_code) or ""
        return f"{LOST}killed by signal {-exit_code} ({name.lower()})"
    now = oom_kills()
    if _rose(oom_before.own, now.own):
        return f"{KERNEL}: the memory that the run may use ran out. {LESS}"
    # where the own group counts, it says more: what the machine counts was then another's
    if now.own is None and _rose(oom_before.machine, now.machine):
        return (
            f"{LOST}killed by signal 9. Meanwhile the kernel killed a process of this machine for"
            f" want of memory, perhaps this one. {LESS}"
        )
    return f"{LOST}killed by signal 9 from outside, or by a limit on its memory"


def _rose(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now > before


def is_worth_retrying(reason: str) -> bool:
    """Whether the same cell may end otherwise the next time: it was lost, or the hub was.

    Or it ran out of memory and may train in smaller batches. Everything else is decided by the
    suite and its data, and would fail again.
    """
    return reason.startswith((LOST, DIED)) or SMALLER_BATCH in reason or _is_the_hub(reason)


def _is_the_hub(reason: str) -> bool:
    # switched off it is asked in vain the next time, too
    return bool(_HUB.search(reason)) and not is_offline()


def prepare_next(paths: CellPaths, reason: str) -> None:
    """Note for the next attempt at the cell in ``paths`` what this one's ``reason`` asks for."""
    if SMALLER_BATCH in reason or reason.startswith(KERNEL):
        before = read_json(paths.smaller_batch) if paths.smaller_batch.is_file() else {}
        write_json(paths.smaller_batch, {"halvings": before.get("halvings", 0) + 1})
