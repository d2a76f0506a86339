"""Completion in a shell, through click's own protocol, and the topics of `harness help`."""

import json

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from harness.cli import main
from harness.commands.ending import EXIT_CODES


def offered(*words, incomplete=""):
    complete = ShellComplete(main, {}, "harness", "_HARNESS_COMPLETE")
    return {item.value: item.type for item in complete.get_completions(list(words), incomplete)}


@pytest.fixture
def run_dir(tmp_path):
    cells = [{"key": "tiny--none--base--qa-1"}, {"key": "tiny--none--lora--qa-2"}, {"key": "other"}]
    (tmp_path / "plan.json").write_text(json.dumps({"cells": cells}))
    return tmp_path


def test_commands_and_options_are_offered():
    assert {"run", "report"} <= set(offered(incomplete="r"))
    assert "--dry-run" in offered("run", incomplete="--d")


@pytest.mark.parametrize("command", ["show", "predict", "push"])
def test_cells_of_the_run_are_offered(command, run_dir):
    assert set(offered(command, str(run_dir), incomplete="tiny")) == {
        "tiny--none--base--qa-1", "tiny--none--lora--qa-2",
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, "{", "[]", '{"cells": 3}', '{"cells": [1]}'])
def test_a_folder_without_a_readable_run_offers_nothing(content, tmp_path):
    if content:
        (tmp_path / "plan.json").write_text(content)
    assert offered("show", str(tmp_path)) == {}


@pytest.mark.parametrize("command", ["run", "plan", "validate", "clean", "doctor"])
def test_shipped_suites_and_files_are_offered(command):
    found = offered(command, incomplete="fin")
    assert found["finance"] == "plain"
    assert found["fin"] == "file"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_s_script_is_printed(shell):
    result = CliRunner().invoke(
        main, [], prog_name="harness", env={"_HARNESS_COMPLETE": f"{shell}_source"}
    )
    assert result.exit_code == 0
    assert "_HARNESS_COMPLETE" in result.output


def test_exit_codes_are_explained():
    shown = CliRunner().invoke(main, ["help", "exit-codes"]).output
    found = CliRunner().invoke(main, ["help", "exit-codes", "--json"]).stdout
    assert json.loads(found) == {str(code): text for code, text in EXIT_CODES.items()}
    assert [int(line.split()[0]) for line in shown.splitlines() if line[:3].strip()] == list(
        EXIT_CODES
    )
    assert max(map(len, shown.splitlines())) <= 80


def test_help_of_a_command_is_that_of_its_option():
    for words in (["run"], ["baseline", "update"], []):
        assert (
            CliRunner()
            .invoke(main, ["help", *words])
            .output.strip()
            .endswith(
                CliRunner().invoke(main, [*words, "--help"]).output.partition("\n\n")[2].strip()
            )
        )
    result = CliRunner().invoke(main, ["help", "baselin", "update"])
    assert result.exit_code == 2
    assert "no command" in result.output
