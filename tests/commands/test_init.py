"""`harness init` as it is called: flags, what it prints, and what it asks on a terminal."""

import os
import select
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from harness.cli import main

ROWS = "".join(f"What is {k} plus {k}?,It is {2 * k} of course I would say\n" for k in range(30))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.csv").write_text("asked,said\n" + ROWS)
    return tmp_path


def test_flags_answer_everything(folder):
    command = ["init", "--data", "sums.csv", "--prompt", "asked", "--reference", "said", "--tiny"]
    result = CliRunner().invoke(main, [*command, "-o", "suite.yaml"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-2:] == [
        "wrote suite.yaml: 7 cells", "next: harness run suite.yaml",
    ]  # fmt: skip
    assert all(len(line) <= 100 for line in (folder / "suite.yaml").read_text().splitlines())


def test_without_a_terminal_nothing_is_asked(folder):
    result = CliRunner().invoke(main, ["init", "--data", "sums.csv"])
    assert result.exit_code == 2
    assert "--prompt" in result.output
    assert "asked, said" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")
def test_on_a_terminal_it_asks(folder):
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "init"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    for question, answer in (
        ("Which data", "sums.csv"), ("holds the question", "asked"),
        ("holds the answer", "said"), ("The model", ""),
    ):  # fmt: skip
        shown += until(ours, question)
        os.write(ours, f"{answer}\n".encode())
    shown += until(ours, "next: harness run")
    assert process.wait(240) == 0, shown
    assert (folder / "sums.yaml").is_file()


def until(terminal, text):
    """What the terminal shows, up to ``text``."""
    shown, end = "", time.monotonic() + 240
    while text not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode()
    assert text in shown
    return shown


def test_what_to_run_next_can_be_pasted(folder):
    command = ["init", "--data", "sums.csv", "--prompt", "asked", "--reference", "said", "--tiny"]
    (folder / "été 1").mkdir()
    result = CliRunner().invoke(main, [*command, "-o", "été 1/suite.yaml"])
    assert result.output.splitlines()[-1] == "next: harness run 'été 1/suite.yaml'"


def test_a_file_without_its_option_is_answered_by_the_option(tmp_path):
    found = CliRunner().invoke(main, ["init", "my rows.csv"])
    assert found.exit_code == 2
    assert "write `--data 'my rows.csv'`" in found.output
