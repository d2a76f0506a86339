"""Work side by side: the same results in the same order, one clear error, no process left."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from harness.errors import DamagedFile, HarnessError
from harness.scoring.side_by_side import processes, side_by_side

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")


class Odd(Exception):
    def __init__(self, *, needed):
        super().__init__(needed)


def squared(number):
    return number * number, os.getpid()


@pytest.mark.parametrize("most", [1, 2, 3, 20])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_things(count, most):
    found = side_by_side(squared, range(count), most=most)
    assert [value for value, _ in found] == [n * n for n in range(count)]
    own = {pid for _, pid in found} == {os.getpid()}
    assert own if min(count, most) == 1 else len({pid for _, pid in found}) == min(count, most)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DamagedFile("is cut", where="a:3", hint="Again."), DamagedFile, "a:3: is cut"),
        (ValueError("odd"), ValueError, "odd"),
        (Odd(needed="cannot be copied"), RuntimeError, "Odd: cannot be copied"),
    ],
)
def test_an_error_of_a_worker_is_raised_here(error, kind, words):
    def fails(number):
        if number == 3:
            raise error
        return number

    with pytest.raises(kind, match=words):
        side_by_side(fails, range(6), most=2)


def test_a_worker_that_was_killed_is_an_error_that_says_so():
    def dies(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    others = set(psutil.Process().children())  # of other tests in this process
    with pytest.raises(HarnessError, match="a process was killed"):
        side_by_side(dies, range(6), most=2)
    assert set(psutil.Process().children()) <= others


class Meanwhile:
    """A result that, as it is read here, has a process killed that is sending a large one."""

    def __init__(self, note):
        self.note = note

    def __reduce__(self):
        return _killed, (self.note,)


def _killed(note):
    while not note.exists() or not note.read_text():
        time.sleep(0.01)
    sender, asleep = psutil.Process(int(note.read_text())), 0
    while asleep < 20:  # it waits for a reader: what it sends does not fit into a pipe
        asleep = asleep + 1 if sender.status() == psutil.STATUS_SLEEPING else 0
        time.sleep(0.01)
    sender.kill()
    return 0


def test_a_worker_that_is_killed_in_the_midst_of_a_result_is_one_that_was_killed(tmp_path):
    note = tmp_path / "pid"

    def work(number):
        if number == 0:
            return Meanwhile(note)
        note.write_text(str(os.getpid()))
        return bytes(2**21)

    with pytest.raises(HarnessError, match="1 of 2 were not done: a process was killed"):
        side_by_side(work, range(2), most=2)


KILLED = """
import os, signal, sys, time
from harness.scoring.side_by_side import side_by_side
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs tests may ignore it
def work(number):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)
side_by_side(work, range(2), most=2)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_the_command(number):
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        parent.send_signal(number)
        try:
            parent.wait(timeout=240)
        finally:
            parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=240)
    assert alive == [] or all(p.status() == psutil.STATUS_ZOMBIE for p in alive)


def test_a_process_with_several_threads_is_not_forked():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert processes() == 1
    finally:
        ended.set()
        thread.join()
