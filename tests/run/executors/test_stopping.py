"""Stopping processes that start others, end in between, or cannot be stopped yet."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from moments import refused

from harness.run.executors import stopping

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")

VFORK = """
import os, sys
opened_by_child = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)
print("starts", flush=True)
os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ, file_actions=[opened_by_child])
os.waitpid(-1, 0)
"""
"""Starts a process whose first step, before its program, is to open a pipe and wait for a writer."""


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.005)


def ended(process):
    for one in stopping.family([process.pid]):
        one.kill()
    process.wait()


def test_a_child_is_not_stopped_before_the_parent_that_waits_for_it_to_begin(tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    command, opened = [sys.executable, "-c", VFORK, str(fifo)], []
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        parent = psutil.Process(process.pid)
        until(lambda: parent.status() == psutil.STATUS_DISK_SLEEP and parent.children())
        begin = threading.Timer(0.5, lambda: opened.append(os.open(fifo, os.O_RDWR)))
        begin.start()
        assert stopping.stop([process.pid])
        family = stopping.family([process.pid])
        assert len(family) == 2
        assert all(stopping.is_stopped(one.pid) for one in family)
    finally:
        ended(process)
        begin.join()
        os.close(opened.pop())


def test_processes_that_come_and_go_are_stopped_each_time():
    process = subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"])
    try:
        for _ in range(20):
            assert stopping.stop([process.pid])
            used = stopping.cpu_seconds([process.pid])
            assert stopping.cpu_seconds([process.pid]) == used
            stopping.resume([process.pid])
    finally:
        ended(process)


def test_a_process_that_ends_between_two_looks_counts_as_stopped(monkeypatch):
    process = subprocess.Popen(["sleep", "60"])
    listed = Path.iterdir

    def ends_first(path):
        found = list(listed(path))
        process.kill()
        process.wait()
        return found

    assert not stopping.is_stopped(process.pid)
    monkeypatch.setattr(Path, "iterdir", ends_first)
    assert stopping.is_stopped(process.pid)


def test_a_process_that_has_ended_counts_as_stopped(monkeypatch):
    process = subprocess.Popen(["true"])
    process.wait()
    # what a look saw that was made just before the end
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    assert stopping.is_stopped(process.pid)
    assert stopping.stop([process.pid])
    assert stopping.cpu_seconds([process.pid]) == 0.0


def test_a_machine_that_hides_the_processes_of_others_shows_one_s_own():
    """`/proc` mounted with `hidepid=1`, as on shared machines: the first foreign one is an error."""
    command = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE) as process:
        until(lambda: len(stopping.family([process.pid])) == 2)
        whole = {one.pid for one in stopping.family([process.pid])}
        with refused("/proc/1/stat"):
            assert {one.pid for one in stopping.family([process.pid])} == whole
            assert stopping.stop([process.pid])
            stopping.resume([process.pid])
        process.stdin.close()
