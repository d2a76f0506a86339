"""One writer at a time in a run directory; caches that are torn are made again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.datasets.example import Example
from harness.datasets.overlap import overlap_of
from harness.errors import HarnessError
from harness.results.locking import HOLDER, locked, remove_drafts
from harness.results.state import one_report

SUITE = """\
name: alone
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
"""
HOLD = """\
import sys
from pathlib import Path
from harness.results.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock on ``tmp_path / "out"`` until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def command(suite, out, *more):
    args = ["run", str(suite), "-o", str(out), "--backend", "testing", "--executor", "in_process"]
    return [*args, *more]


def test_a_second_run_is_refused_with_who_holds_the_directory(write_suite, tmp_path, holder):
    suite, out = write_suite(SUITE), tmp_path / "out"
    found = CliRunner().invoke(main, command(suite, out))
    assert found.exit_code == 2
    assert f"{out}: in use: process {holder.pid} on " in found.output
    assert " writes to it since 2" in found.output
    assert not (out / "plan.json").exists()
    elsewhere = CliRunner().invoke(main, command(suite, tmp_path / "other"))
    assert elsewhere.exit_code == 0, elsewhere.output
    scored = CliRunner().invoke(main, ["score", str(tmp_path / "other")])
    assert scored.exit_code == 0, scored.output


def test_a_run_that_waits_does_not_repeat_what_the_other_did(write_suite, tmp_path):
    suite, out = write_suite(SUITE), tmp_path / "out"
    with locked(out):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "harness.cli", *command(suite, out, "--wait")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # what another run does meanwhile, without its own lock
        other = CliRunner().invoke(main, command(suite, tmp_path / "other"))
        assert other.exit_code == 0
    output, errors = waiting.communicate(timeout=240)
    assert waiting.returncode == 0, errors
    assert "1 ok" in output


def test_a_lock_ends_with_its_process_however_that_ended(tmp_path, holder):
    with pytest.raises(HarnessError, match="in use"), locked(tmp_path / "out"):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path / "out") as waited:
        assert not waited
        assert json.loads((tmp_path / "out" / HOLDER).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "out" / HOLDER).exists()


DRAFTS = {
    ".result.json.ab12_xyz": False, ".predictions.jsonl.next": False,
    ".0123456789abcdef.q1w2e3r4": False, ".gitignore": True, ".lock": True, ".lock.json": True,
    ".env": True, ".notes.md": True,
}  # fmt: skip


def test_drafts_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    for name in DRAFTS:
        (tmp_path / "cells" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cells" / "a" / name).touch()
    remove_drafts(tmp_path)
    assert {name: (tmp_path / "cells" / "a" / name).exists() for name in DRAFTS} == DRAFTS


@pytest.mark.parametrize("text", ["", "{", "[]", '{"exact": 1}', "null"])
def test_a_torn_count_of_duplicates_is_made_again(tmp_path, text):
    train = [Example(id="1", prompt="one two", reference="a")]
    test = [Example(id="2", prompt="one two", reference="b")]
    whole = overlap_of(train, test, cache=tmp_path)
    (path,) = Path(tmp_path).iterdir()
    path.write_text(text)
    assert overlap_of(train, test, cache=tmp_path) == whole
    assert json.loads(path.read_text())["exact"] == 1


def test_a_directory_that_may_only_be_read_is_named_and_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(HarnessError, match="you may not write into it") as caught, locked(tmp_path):
        pass
    assert caught.value.where == str(tmp_path)
    assert "-o" in caught.value.hint
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(HarnessError, match="you may not write into it"), one_report(tmp_path):
        pass
