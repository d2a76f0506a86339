"""Every command, option, suite and line of Python that a document shows is one that works."""

import ast
import importlib
import subprocess
import sys

import pytest
import yaml
from documents import PAGES, ROOT, all_commands, blocks, inline_options, problem_of

import harness
from harness.cli import main
from harness.suite.loading import read_suite
from harness.suite.model_card import load_model_card

OTHERS = {
    # of other programs
    "--max-lora-rank", "--logdir", "--log_samples", "--output_path",
}  # fmt: skip


def every_option(command):
    found = {name for parameter in command.params for name in parameter.opts}
    for inner in getattr(command, "commands", {}).values():
        found |= every_option(inner)
    return found | {"--help", "--version"}


def test_every_command_in_a_document_is_one():
    commands = list(all_commands())
    wrong = [
        f"{command.place}: harness {' '.join(command.words)}: {problem}"
        for command in commands
        if (problem := problem_of(main, command))
    ]
    assert "\n".join(wrong) == ""
    assert len(commands) > 80  # the sweep reads what it is meant to read
    assert sum(command.whole for command in commands) > 40


def test_every_shipped_suite_that_a_command_names_is_there():
    wrong = [
        (command.place, word)
        for command in all_commands()
        for word in command.words
        if word.startswith(("suites/", "docs/")) and "mine" not in word and not [*ROOT.glob(word)]
    ]
    assert wrong == []


def test_every_option_in_a_sentence_is_one():
    known = every_option(main) | OTHERS
    wrong = [(page, text) for page, text, option in inline_options() if option not in known]
    assert wrong == []


BROKEN = {
    "run a.yaml --output": "requires an argument",
    "run a.yaml --wokers 2": "No such option",
    "run a.yaml --workers two": "is not a valid integer",
    "run a.yaml b.yaml": "unexpected",
    "rnu a.yaml": "no command rnu",
    "run": "is missing",
    "import a.csv -o b --language de": "is not one of",
    "plan a.yaml --max-vram huge": "is not a size",
}


@pytest.mark.parametrize("line", BROKEN)
def test_the_sweep_refuses_what_the_program_refuses(line):
    from documents import Command

    assert BROKEN[line] in problem_of(main, Command("here", tuple(line.split()), whole=True))


WHOLE = """\
name: fragment
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [finance-qa]
"""
FOREIGN = ("jobs", "cluster_name", "doc_to_text", "repos")
"""Keys of files of other programs."""


def yaml_blocks():
    found = [block for page in PAGES for block in blocks(page, "yaml")]
    return {block.place: block for block in found}


AXES = ("dataset", "model", "adapter", "quantization")


def as_suites(value):
    """The suites that ``value``, a whole one or a part, can be read as; none of another file.

    A list is of entries of an axis, and its block does not say of which.
    """
    if isinstance(value, list):
        if all({"run", "uses", "id"} & item.keys() for item in value):
            return []  # steps of a workflow, hooks of pre-commit
        return [suite for axis in AXES for suite in as_suites({axis: value})]
    if value.keys() & set(FOREIGN):
        return []
    whole = yaml.safe_load(WHOLE)
    rest = {key: inner for key, inner in value.items() if key not in ("matrix", *AXES)}
    axes = {key: value[key] for key in AXES if key in value}
    return [whole | rest | {"matrix": whole["matrix"] | value.get("matrix", {}) | axes}]


@pytest.mark.parametrize("place", yaml_blocks())
def test_yaml_in_a_document_is_valid(place, tmp_path):
    text = yaml_blocks()[place].text
    value = yaml.safe_load(text.replace("2f0c…", "2f0c"))
    if value is None:  # a comment for an editor
        return
    path = tmp_path / "suite.yaml"
    if isinstance(value, dict) and "source" in value and "matrix" not in value:
        for file in ("my-checkpoint/config.json", "smollm2-gguf/SmolLM2-135M-Instruct.Q4_1.gguf"):
            (tmp_path / file).parent.mkdir()
            (tmp_path / file).write_text("{}")
        (tmp_path / "models").mkdir()
        path = tmp_path / "models" / "card.yaml"
        path.write_text(text)
        assert load_model_card(path).name == value["name"]
        return
    problems = []
    for suite in as_suites(value):
        path.write_text(yaml.safe_dump(suite, sort_keys=False))
        problems.append(read_suite(path).problems)
    assert problems == [] or [] in problems


def python_blocks():
    found = [block for page in PAGES for block in blocks(page, "python")]
    return {block.place: block for block in found}


@pytest.mark.parametrize("place", python_blocks())
def test_python_in_a_document_names_what_there_is(place):
    lines = python_blocks()[place].text.splitlines()
    # "!" begins a shell line of a notebook: `all_commands` has it
    tree = ast.parse("\n".join(line for line in lines if not line.startswith("!")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module == "google.colab":
            continue  # there alone
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [a.name for a in node.names if not hasattr(module, a.name)] == []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "harness" or node.attr in harness.__all__, node.attr


def test_modules_that_documents_show_are_imported(tmp_path):
    """Those that add to a registry: in a process of their own."""
    shown = [b for b in python_blocks().values() if "@metric" in b.text or "@dataset" in b.text]
    assert len(shown) >= 2
    for number, block in enumerate(shown):
        (tmp_path / f"shown_{number}.py").write_text(block.text)
    (tmp_path / "weather.csv").write_text("text,label\nA clear sky all day.,sun\n")
    code = ";".join(f"import shown_{number}" for number in range(len(shown)))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
