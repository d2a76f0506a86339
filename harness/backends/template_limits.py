"""Limits on what a template may take: a chat template comes with a model's weights, from anyone.

Jinja's sandbox, in which all templates are rendered, keeps them from files, modules and attributes
of Python. It does not keep them from memory: `{{ "x" * 10**10 }}` is allowed there, and so is a
text that a loop doubles a hundred times. Nor from time: two nested loops count to ten billion.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from harness.errors import HarnessError

MOST_CHARACTERS = 8_000_000
"""Longest rendering: more than any context window holds, and tokenized within seconds."""
MOST_MEMORY = 2**29
"""Bytes that a rendering may take beyond what the process has: a text of the size above many
times over."""
MOST_SECONDS = 2.0
"""Processor time of a rendering; a template of a hub model takes less than a hundredth of it."""


class OverLimit(HarnessError):
    """A template that takes more than it may: there is no use in rendering it in another way."""


class _OutOfTime(BaseException):
    """Not an `Exception`, or Jinja would take it for an error of the template's own code."""


@contextlib.contextmanager
def limited(name: str) -> Iterator[None]:
    """Let the rendering inside take as much memory and time as any honest template needs.

    Args:
        name: whose template it is, for the message.

    Raises:
        OverLimit: it takes more.
    """
    try:
        with limited_memory(), _limited_time():
            yield
    except MemoryError:
        raise over_limit(name) from None
    except _OutOfTime:
        what = f"rendering one text takes more than {MOST_SECONDS:g} seconds of processor time"
        raise OverLimit(f"{name}: {what}", hint=_HINT) from None


def over_limit(name: str) -> OverLimit:
    """The error of a template whose text is too long or takes too much memory."""
    what = f"writes more than {MOST_CHARACTERS:,} characters, or takes 512 MiB of memory"
    return OverLimit(f"{name} {what}", hint=_HINT)


_HINT = "Do not use this template: set another `prompt` style in the model card."


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Let what runs inside take `MOST_MEMORY` at most; it meets a MemoryError beyond that.

    Without effect where the system has no such limit: the length of the text is checked all the
    same.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    import psutil

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + MOST_MEMORY
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([most, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    """Raise `_OutOfTime` in what runs inside after `MOST_SECONDS` of the process's own computing.

    The clock of processor time, because a busy or stopped machine is not the template's fault; and
    because nothing else uses its signal. Only the main thread gets signals: in another one, and
    where there is none of this, only memory is limited.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _OutOfTime
