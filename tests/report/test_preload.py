"""What a report needs is loaded while a run waits for its workers."""

import subprocess
import sys

import pytest

import harness
from harness.report import preload

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {noise_examples: 0}
"""
LATE = """
import sys
from pathlib import Path
import harness
from harness.report.preload import NAMES, preload
board = harness.leaderboard(harness.load_run(sys.argv[1]))
preload().join()
assert set(NAMES) <= set(sys.modules), set(NAMES) - set(sys.modules)
before = set(sys.modules)
from harness.report.files import write_report
write_report(board, Path(sys.argv[2]))
late = {name.partition(".")[0] for name in set(sys.modules) - before}
assert late <= {"encodings", "importlib"}, late
"""
ENDS = """
import sys, time
from harness.report.preload import preload
preload()
time.sleep(float(sys.argv[1]))
sys.exit(130)
"""


def test_a_report_finds_its_libraries_loaded(write_suite, tmp_path):
    run = harness.run(
        write_suite(SUITE), output=tmp_path / "run", executor="in_process", backend="testing"
    )
    command = [sys.executable, "-c", LATE, str(run.directory), str(tmp_path / "report")]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("seconds", ["0", "0.3"])
def test_a_process_that_ends_while_it_loads_ends_as_it_wants_to(seconds):
    command = [sys.executable, "-c", ENDS, seconds]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")


def test_what_cannot_be_loaded_is_left_to_the_report(monkeypatch):
    monkeypatch.setattr(preload, "NAMES", ("no.such.module",))
    monkeypatch.setattr(preload, "SMALL", None)
    preload._load.cache_clear()
    thread = preload.preload()
    thread.join(60)
    assert not thread.is_alive()
    preload._load.cache_clear()
