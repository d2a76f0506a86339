r"""LaTeX expressions in a box, evaluated by math-verify: "\sqrt{16}", "2^{10}", "\frac{\pi}{2}".

Plain numbers, fractions of numbers and their units are read by `number_forms`, which knows Russian
formats, scale words and percentages. math-verify reads what is left. It runs in a process of its
own: hostile LaTeX can keep its parser or SymPy busy for ever, its own limit is a signal (which
only a main thread may set), and a process can be ended.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import selectors
import subprocess
import sys
from decimal import Decimal, DecimalException
from functools import lru_cache
from threading import Lock
from typing import IO, cast

import psutil

from harness.extras import MissingPackage

SECONDS = 20.0
"""Processor seconds, far above what an expression takes (milliseconds; the first one waits two
seconds for SymPy). Not seconds of the clock: on a busy machine, or while a cell is stopped for
another's measuring, they pass without any work, and the same answer would be read otherwise."""
LOOK, LOOKS = 1.0, 600
"""Seconds between two looks at a process that has not replied, and how many there are at most: one
that hangs uses no processor. Looks are counted, because a stopped process takes none."""
_LONGEST = 200
# Commands and words that change no value.
_HARMLESS = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|operatorname)\s*\{[^{}]*\}|\\(?:left|right|quad|qquad|displaystyle|"
    r"approx|,|;|:|!|\s|%|\$)|[$€₽£¥%°~]"
)
_READ = re.compile(  # what `number_forms` reads by itself
    r"-?(?:\d+\s*)?\\[dtc]?frac\s*(?:\{\s*-?\d[\d.,]*\s*\}\s*\{\s*\d[\d.,]*\s*\}|\d\s*\d)"
    r"|\d[\d.,]*\s*(?:\\times|\\cdot|×|·)\s*10\s*\^\s*(?:\{\s*-?\d{1,3}\s*\}|\d)"
)
_OPERATION = re.compile(
    r"\\(?:sqrt|pi|frac|dfrac|cdot|times|div|log|ln|sin|cos|tan|binom|pm|exp)|\^|(?<=\d)!"
)
# Towers of powers, factorials and long exponents: worked out, they fill the memory.
_HOSTILE = re.compile(r"\^[^}]*\^|\^\s*\{?\s*-?\d{4}|!|\d{40}|\\(?:int|sum|prod|lim)")


def is_expression(content: str) -> bool:
    """Whether what a box holds is an expression to work out, and not a number with its unit."""
    content = _right_side(content)
    return _OPERATION.search(_READ.sub("1", _HARMLESS.sub(" ", content))) is not None


def evaluate(content: str) -> Decimal | None:
    """The value of an expression, or None where it has none or is too large to work out."""
    if len(content) > _LONGEST or _HOSTILE.search(content):
        return None
    return _evaluated(_right_side(content))


def _right_side(content: str) -> str:
    """The text after the last "=" outside of braces."""
    depth, start = 0, 0
    for position, character in enumerate(content):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "=" and depth == 0:
            start = position + 1
    return content[start:].strip()


@lru_cache(maxsize=4096)
def _evaluated(expression: str) -> Decimal | None:
    reply = _WORKER.ask(expression)
    try:
        return Decimal(reply) if reply else None
    except DecimalException:
        return None


class _Worker:
    """The process that runs math-verify, started at the first expression."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = os.getpid()

    def ask(self, expression: str) -> str | None:
        """The value of ``expression`` as text; None where it has none or takes too long."""
        with self._lock:
            process = self._started()
            stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            try:
                stdin.write(json.dumps(expression) + "\n")
                stdin.flush()
                line = stdout.readline() if _replies(process, stdout) else ""
            except OSError:
                line = ""
            if not line:  # too long, or the process died of it: the next one gets a fresh process
                self.stop()
                return None
            value: str | dict[str, str] | None = json.loads(line)
        if isinstance(value, dict):
            raise MissingPackage("working out a LaTeX answer", value["missing"])
        return value

    def stop(self) -> None:
        """End the process, if this one has started it."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._owner != os.getpid():
            # a copy of the one that forked this process: each would get replies to the other's
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.metrics.reading.latex_worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        return self._process


def _replies(process: subprocess.Popen[str], stdout: IO[str]) -> bool:
    """Wait for a line of ``process``, or its end; False where it computes for too long."""
    began = _computed(process)
    with selectors.DefaultSelector() as waiting:
        waiting.register(stdout, selectors.EVENT_READ)
        for _ in range(LOOKS):
            if waiting.select(LOOK):
                return True
            if _computed(process) - began > SECONDS:
                return False
    return False


def _computed(process: subprocess.Popen[str]) -> float:
    """Processor seconds of ``process`` so far."""
    try:
        used = psutil.Process(process.pid).cpu_times()
    except psutil.Error:  # it has ended: its output says so
        return 0.0
    return float(used.user + used.system)


_WORKER = _Worker()
atexit.register(_WORKER.stop)
