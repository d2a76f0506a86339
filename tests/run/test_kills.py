"""Kills at random moments lose nothing: whatever is killed, the next run ends in equal results.

`tox -e reliability` kills 200 times. `HARNESS_KILLS` and `HARNESS_SEED` set another number and
another series; the seed is printed with a failure.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from scripted import PLUGIN, scripted_suite

from harness.results.run import load_run

KILLS = int(os.environ.get("HARNESS_KILLS", "200"))
SEED = int(os.environ.get("HARNESS_SEED", "1"))
CELLS = 12
SLOW = {"train": "time.sleep(0.05)", "predict": "time.sleep(0.05)", "measure": "time.sleep(0.2)"}
"""Long enough to be hit at work; while one measures, the other workers are stopped."""
TARGETS = ["worker"] * 15 + ["server"] * 2 + ["parent"] * 2 + ["group"]
"""After a kill of any other than a worker, libraries are imported again: it costs seconds."""


class Storm:
    """Runs of one suite, killed now and then."""

    def __init__(self, suite, seed):
        self.suite, self.random = suite, random.Random(seed)
        self.killed = Counter()
        self.started = 0

    def start(self, out):
        """A run in a group of its own."""
        self.started += 1
        command = [sys.executable, "-m", "harness.cli", "run", str(self.suite), "-o", str(out)]
        return subprocess.Popen(
            [*command, "--backend", "scripted_kills", "--workers", "2", "--retry", "2"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def kill_some(self, process, most):
        """Kill what belongs to ``process`` until it ends, or ``most`` kills are done."""
        while process.poll() is None and self.killed.total() < most:
            time.sleep(self.random.uniform(0.0, 0.6))
            target = self.random.choice(TARGETS)
            with suppress(psutil.NoSuchProcess, ProcessLookupError, IndexError):
                self._kill(process, target)

    def _kill(self, process, target):
        server = next(
            child
            for child in (*psutil.Process(process.pid).children(), None)
            if child is None or "forkserver" in " ".join(child.cmdline())
        )
        starting = server is None or not server.children()
        if starting and self.random.random() < 0.97:
            return  # most kills are to hit cells, some the start
        if target in ("parent", "group") or server is None:
            target = "parent" if target != "group" else target
            (os.killpg if target == "group" else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        elif target == "server" or starting:
            target = "server"
            server.kill()
            time.sleep(0.1)
        else:
            worker = self.random.choice(server.children())
            stopped = worker.status() == psutil.STATUS_STOPPED
            worker.kill()
            target = "worker, stopped" if stopped else target
        self.killed[target] += 1


def finished(storm, out):
    """Run to the end without a kill; the results as a table."""
    process = storm.start(out)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert {cell.status for cell in load_run(out).cells} == {"ok"}
    hidden = [path for path in out.rglob(".*") if path.is_file()]
    left = [str(path) for path in hidden if path.name not in {".lock", ".report.json.lock"}]
    assert left == [], "drafts of killed writers stay behind"
    return (out / "results.csv").read_text()


@pytest.fixture
def storm(write_suite, install_plugin):
    install_plugin("scripted_kills", PLUGIN)
    suite = scripted_suite(write_suite, {f"a{number}": SLOW for number in range(CELLS)})
    return Storm(suite, SEED)


@pytest.mark.parametrize(
    "kills", [4, pytest.param(KILLS, marks=[pytest.mark.reliability, pytest.mark.timeout(7200)])]
)
def test_whatever_is_killed_the_next_run_ends_in_equal_results(storm, tmp_path, kills):
    whole = finished(storm, tmp_path / "whole")
    number = 0
    while storm.killed.total() < kills:
        number += 1
        out = tmp_path / f"out{number}"
        for _ in range(40):  # until it has ended by itself
            process = storm.start(out)
            storm.kill_some(process, kills)
            if storm.killed.total() >= kills or process.returncode == 0:
                break
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert finished(storm, out) == whole, f"seed {SEED}, {dict(storm.killed)}"
    print(f"{storm.killed.total()} kills in {storm.started} runs: {dict(storm.killed)}")
