"""However a command ends, its exit code says why, and 1 is a regression alone."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.api.running import Outcome
from harness.cli import main
from harness.commands.ending import EXIT_CODES
from harness.errors import HarnessError, NoBaseline
from harness.secret_texts import without_secrets


@pytest.fixture
def end_with(monkeypatch, tmp_path):
    """Runs a command that raises ``error``; what came out. Faults are written to ``tmp_path``."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def invoke(error):
        def fail():
            raise error

        monkeypatch.setitem(main.commands, "fail", click.Command("fail", callback=fail))
        return CliRunner().invoke(main, ["fail"])

    return invoke


ENDINGS = {
    "the user's mistake": (HarnessError("what", where="a.yaml:3", hint="do"), 2, "error: a.yaml:3: what\n  do"),
    "no baseline": (NoBaseline("there is none"), 3, "error: there is none"),
    "a disk that is full": (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device"),
    "a file that may not be read": (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2, "error: /x/y: Permission denied"),
    "memory": (MemoryError(), 2, "error: this machine has too little memory"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "stopped"),
    "Ctrl-C at a prompt": (click.Abort(), 130, "stopped"),
    "a closed pipe": (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    "wrong usage": (click.UsageError("no such option"), 2, "Usage: main"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "code", "words"), ENDINGS.values(), ids=ENDINGS)
def test_what_ended_a_command_is_a_line_and_a_code(end_with, tmp_path, error, code, words):
    found = end_with(error)
    assert found.exit_code == code
    assert found.output.startswith(words)
    assert "Traceback" not in found.output
    assert list(tmp_path.iterdir()) == []
    assert code in EXIT_CODES


FAULTS = [
    KeyError("x"), ValueError("two\nlines"), RecursionError("deep"), AssertionError(), OSError("bare"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), TypeError("\x1b[31m"),
]  # fmt: skip


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_of_ours_is_one_line_and_a_file_with_the_traceback(end_with, error):
    found = end_with(error)
    assert found.exit_code == 70
    name = re.fullmatch(
        r"error: a fault of the harness \(.+\); please report it with (\S+)\n", found.output
    )
    assert name, found.output
    assert "\x1b" not in found.output
    report = Path(name[1])
    assert report.stat().st_mode & 0o077 == 0  # paths and messages are the user's own
    text = report.read_text()
    assert "Traceback (most recent call last)" in text
    assert type(error).__name__ in text
    assert re.match(r"harness \S+, Python \d", text)


def test_a_fault_is_shown_where_no_file_can_be_written(end_with, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    found = end_with(KeyError("x"))
    assert found.exit_code == 70
    assert "Traceback" in found.output
    assert found.output.endswith("please report it\n")


def test_a_fault_holds_no_token(end_with, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "secret-of-mine")
    found = end_with(ValueError("GET https://x?token=secret-of-mine hf_AbCdEfGhIjKl"))
    report = next(tmp_path.iterdir()).read_text()
    for text in (found.output, report):
        assert "secret-of-mine" not in text
        assert "hf_Ab" not in text
        assert "***" in text


@pytest.mark.parametrize(
    "name", ["MY_TOKEN", "aws_secret_access_key", "DB_PASSWORD", "OPENAI_API_KEY", "MY_KEY"]
)
def test_values_of_variables_that_hold_secrets_are_cut_out(monkeypatch, name):
    monkeypatch.setenv(name, "abcdefgh1")
    assert without_secrets("x abcdefgh1 y") == "x *** y"


ADDRESSES = {
    "API request to http://me:s3cret@host:5000/api failed": "API request to http://***@host:5000/api failed",
    "(url='https://t0ken@host/x?a=b@c')": "(url='https://***@host/x?a=b@c')",
    "postgresql://me:a@b@host/db": "postgresql://***@host/db",
    "https://host/@scope/x, me@host.example": "https://host/@scope/x, me@host.example",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_passwords_in_addresses_are_cut_out(text):
    assert without_secrets(text) == ADDRESSES[text]


def test_no_message_quotes_a_password(end_with, tmp_path):
    found = end_with(HarnessError("it is at http://me:s3cret@host"))
    assert found.output == "error: it is at http://***@host\n"


def test_the_python_api_raises_as_before(tmp_path):
    import harness

    with pytest.raises(HarnessError, match="no such file"):
        harness.load_suite(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "漢".encode()), ("cp1251", rb"\u6f22")])
def test_a_terminal_that_cannot_show_a_text_gets_it_spelled_out(write_suite, encoding, shown):
    suite = write_suite().rename(write_suite().with_name("漢.yaml"))
    command = [sys.executable, "-m", "harness.cli", "validate", "--no-data", str(suite)]
    variables = {**os.environ, "PYTHONIOENCODING": encoding}
    found = subprocess.run(command, env=variables, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert shown + b".yaml: ok" in found.stdout


def test_a_closed_pipe_ends_a_command_without_a_word():
    command = [sys.executable, "-m", "harness.cli", "schema"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.stdout.close()
    assert started.stderr.read() == b""
    assert started.wait() == 141
    started.stderr.close()


@pytest.mark.parametrize(
    ("counts", "code", "strict"),
    [
        ({"ok": 2}, 0, 0),
        ({"current": 2}, 0, 0),
        ({"ok": 1, "failed": 1}, 4, 4),
        ({"ok": 1, "skipped": 1}, 0, 4),
        ({"current": 1, "skipped": 1}, 0, 4),
        ({"skipped": 2}, 4, 4),  # a misspelt hub id without network: nothing was done at all
        ({}, 0, 0),  # another shard has all cells
    ],
)
def test_a_run_of_which_nothing_came_is_no_success(tmp_path, counts, code, strict):
    whole = {**dict.fromkeys(("ok", "failed", "skipped", "current"), 0), **counts}
    outcome = Outcome(tmp_path, whole, board=None)
    assert (outcome.exit_code(), outcome.exit_code(strict=True)) == (code, strict)
