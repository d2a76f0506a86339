"""`--json` on every command that prints a table: one JSON value, alone on standard output."""

import json
import os
import shutil

import click
import pytest
from click.testing import CliRunner

from harness.cli import main

NO_TABLE = {
    "baseline update": "one line", "demo": "opens a page", "judge": "one line", "init": "some lines about one file", "merge": "one line",
    "models build": "one line", "pack": "one line", "push": "one line",
    "report": "names of files; its --json writes results.json", "schema": "is JSON",
}  # fmt: skip
"""Command → why it has no `--json`."""
ASKED = {
    "baseline show": "baseline show base.json",
    "check": "check run --against base.json",
    "clean": "clean suite.yaml -o run --backend testing --dry-run",
    "compare": "compare run --axis adapter",
    "doctor": "doctor",
    "export": "export run tiny-qwen2--none--lora --to merged -o out",
    "help": "help exit-codes",
    "import": "import answers.csv -o imported",
    "models list": "models list",
    "models show": "models show tiny-qwen2",
    "plan": "plan suite.yaml -o run --backend testing",
    "predict": "predict run tiny-qwen2--none--lora --prompt Why?",
    "run": "run suite.yaml -o run --backend testing",
    "score": "score run",
    "show": "show run",
    "validate": "validate suite.yaml",
}
"""Command → how it is called beside a finished run."""
MORE = ["run suite.yaml --backend testing --dry-run", "show run tiny-qwen2", "help run",
        "clean suite.yaml -o run --backend testing --yes", "compare run run", "compare run --votes"]  # fmt: skip
ELSEWHERE = {"doctor", "export", "models show", "predict"}
"""They import torch: tests/doctor, tests/sharing/test_export.py, tests/plan/test_architecture.py and
tests/backends/hf/models/test_serving.py try theirs."""


def commands(group=main, path=""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


@pytest.fixture(scope="module")
def finished(tmp_path_factory, root):
    """A folder with a suite, its finished run, a baseline of it, and a table of answers."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "suite.yaml").write_text(
        "name: small\n"
        "matrix:\n"
        "  model: [tiny-qwen2]\n"
        "  adapter: [{name: lora-r4, config: {r: 4}}]\n"
        "  dataset: [{name: ru-calculations, rows: 160, train: 48, test: 12}]\n"
    )
    rows = "".join(f"{k},{m},What is {k}?,It is {k}.,It is {k}.\n" for m in "ab" for k in range(8))
    (folder / "answers.csv").write_text("id,model,prompt,reference,prediction\n" + rows)
    before = os.getcwd()  # noqa: PTH109
    os.chdir(folder)
    try:
        for command in (
            "run suite.yaml -o run --backend testing --executor in_process",
            "baseline update run --reason first -o base.json",
        ):
            result = CliRunner().invoke(main, command.split())
            assert result.exit_code == 0, result.output
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_every_command_prints_json_or_has_no_table():
    has = {name for name, command in commands() if any("--json" in p.opts for p in command.params)}
    every = {name for name, _ in commands()}
    assert has - {"report"} == set(ASKED) & every
    assert every - has - set(NO_TABLE) == set(), "give it --json, or say why not in NO_TABLE"


@pytest.mark.parametrize("command", [*(c for n, c in ASKED.items() if n not in ELSEWHERE), *MORE])
def test_standard_output_is_one_json_value(command, folder):
    result = CliRunner().invoke(main, [*command.split(), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) is not None
    assert "NaN" not in result.stdout


def test_a_suite_with_problems_is_json_too(folder):
    (folder / "bad.yaml").write_text("name: bad\nmatrix: {model: [nobody]}\n")
    result = CliRunner().invoke(main, ["validate", "suite.yaml", "bad.yaml", "--json"])
    assert result.exit_code == 2
    good, bad = json.loads(result.stdout)
    assert good["ok"]
    assert good["cells"] == 2
    assert not bad["ok"]
    assert any("nobody" in problem for problem in bad["problems"])


def test_the_plan_says_of_each_cell_what_it_does(folder):
    result = CliRunner().invoke(
        main, ["plan", "suite.yaml", "-o", "run", "--backend", "testing", "--json"]
    )
    found = json.loads(result.stdout)
    assert found["counts"] == {"current": 2}
    assert {cell["adapter"] for cell in found["cells"]} == {"base", "lora-r4"}


def test_clean_asks_nothing_as_json(folder):
    result = CliRunner().invoke(main, ["clean", "suite.yaml", "-o", "run", "--json"])
    assert result.exit_code == 2
    assert "--dry-run" in result.output


COLOUR = "\x1b["


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False),
     ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)  # fmt: skip
def test_colours_are_as_the_environment_asks(variables, coloured, monkeypatch, capsys):
    from harness.api.doctor import Finding
    from harness.commands.doctor import _print
    from harness.results.text import console

    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **variables}.items():
        monkeypatch.setenv(name, value)
    _print([Finding("a", "b", "fail", "c", "d"), Finding("a", "e", "ok", "f")], console())
    shown = capsys.readouterr().out
    colours = [part for part in shown.split(COLOUR)[1:] if part.startswith(("3", "9"))]
    assert bool(colours) == coloured


def test_json_has_no_colours_even_if_they_are_forced(folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    for command in ("plan suite.yaml -o run --backend testing --json", "show run --json"):
        assert COLOUR not in CliRunner().invoke(main, command.split()).stdout


def test_forced_colours_draw_no_bar_into_a_log(monkeypatch):
    from harness.run.progress import SuiteProgress

    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not SuiteProgress(3)._is_live
