"""The process that works out LaTeX: what it reads depends neither on the clock nor on forks."""

import os
import signal
import sys
import threading

import psutil
import pytest

from harness.metrics.reading import latex
from harness.scoring.side_by_side import side_by_side

pytest.importorskip("math_verify")


def worker():
    latex._evaluated.cache_clear()
    assert latex.evaluate(r"\sqrt{16}") == 4
    return latex._WORKER._process.pid


def test_an_expression_is_read_though_its_process_stood_still(monkeypatch):
    """As while another cell measures: then the whole family of a worker is stopped."""
    pid = worker()
    monkeypatch.setattr(latex, "SECONDS", 0.2)
    monkeypatch.setattr(latex, "LOOK", 0.1)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
    assert latex.evaluate(r"\sqrt{25}") == 5
    assert worker() == pid


def test_an_expression_that_computes_for_too_long_is_given_up(monkeypatch):
    pid = worker()
    monkeypatch.setattr(latex, "SECONDS", 0.2)
    monkeypatch.setattr(latex, "LOOK", 0.1)
    assert latex.evaluate(r"\binom{200000}{100000}") is None  # two seconds
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")
def test_forked_processes_do_not_share_the_process_of_their_parent():
    """Each would read replies to the other's questions."""
    pid = worker()
    found = side_by_side(_roots, range(6), most=3)
    assert [values for values, _ in found] == [
        [share * 100 + k for k in range(20)] for share in range(6)
    ]
    assert pid not in {used for _, used in found}
    assert psutil.pid_exists(pid)
    assert latex.evaluate(r"\sqrt{36}") == 6


def _roots(share):
    values = [latex.evaluate(rf"\sqrt{{{(share * 100 + k) ** 2}}}") for k in range(20)]
    return [int(value) for value in values], latex._WORKER._process.pid
