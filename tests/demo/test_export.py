"""The exported app, started as a process of its own, answers as the cells were evaluated."""

import ast
import json
import shutil
import sys

import pytest
import yaml
from click.testing import CliRunner
from demo_process import ODD, served

import harness
from harness.cli import main
from harness.demo.export import _copy_adapter
from harness.demo.questions import context_of, questions_of


def export(*words):
    return CliRunner().invoke(main, ["demo", *map(str, words)])


def settings(folder):
    return json.loads((folder / "settings.json").read_text())


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Model → the app of its two cells."""
    made = {}
    for model in ("tiny-qwen2", "alpaca"):
        folder = tmp_path_factory.mktemp(model) / "app"
        cells = [cell.key for cell in run.cells if cell.model == model]
        result = export(run.directory, "--export", folder, "--cells", *cells, "--questions", 3)
        assert result.exit_code == 0, result.output
        made[model] = folder
    return made


def test_the_folder_is_a_space(exported, root):
    folder = exported["tiny-qwen2"]
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    pins = dict(line.split("==") for line in (folder / "requirements.txt").read_text().split())
    assert (head["sdk"], head["app_file"]) == ("gradio", "app.py")
    assert head["sdk_version"] == pins["gradio"]
    assert {"torch", "transformers", "peft"} <= set(pins)
    assert not any("+" in version for version in pins.values())
    assert "| lora-r4 | tiny-qwen2 | none |" in (folder / "README.md").read_text()
    for path in (folder / "README.md", folder / "app.py", *folder.rglob("adapter_config.json")):
        assert str(root) not in path.read_text()


def test_the_app_imports_nothing_of_the_harness(exported):
    tree = ast.parse((exported["alpaca"] / "app.py").read_text())
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.partition(".")[0] == "harness" for name in names)


def test_every_question_is_answered_as_it_was_evaluated(exported, run, tmp_path):
    """One app with all four variants: a chat template and a text one, an adapter and a merged one."""
    from gradio_client import Client

    first, second = (settings(exported[model]) for model in ("tiny-qwen2", "alpaca"))
    folder = shutil.copytree(exported["tiny-qwen2"], tmp_path / "app")
    shutil.copytree(exported["alpaca"] / "adapters", folder / "adapters", dirs_exist_ok=True)
    both = {**first, "variants": [*first["variants"], *second["variants"]]}
    (folder / "settings.json").write_text(json.dumps(both))
    stored = [{r["id"]: r for r in run.predictions(cell)} for cell in run.cells]
    asked = [e for e in questions_of(run, run.cells).examples if not context_of(e)]
    assert len(asked) > 2
    with served([sys.executable, "app.py"], folder) as (address, _):
        client = Client(address, verbose=False, analytics_enabled=False)
        for example in asked:
            outputs = client.predict(example.prompt, api_name="/ask")
            assert list(outputs[::2]) == [side[example.id]["prediction"] for side in stored]
            counts = [side[example.id]["new_tokens"] for side in stored]
            assert [int(text.split()[0]) for text in outputs[1::2]] == counts
        for question, said in ((" ", "Write a question"), ("a <|im_end|>", "control token")):
            with pytest.raises(Exception, match=said):
                client.predict(question, api_name="/ask")


def test_test_questions_are_exported_when_they_are_asked_for(exported, run, tmp_path):
    assert len(settings(exported["alpaca"])["questions"]) == 3
    cells = [cell.key for cell in run.cells[:2]]
    result = export(run.directory, "--export", tmp_path / "app", "--cells", *cells)
    assert result.exit_code == 0, result.output
    assert settings(tmp_path / "app")["questions"] == []
    assert ODD not in "".join(p.read_text() for p in (tmp_path / "app").glob("*.*"))
    assert "is a folder of this machine" in result.stderr


def test_adapters_of_one_name_and_seed_have_a_folder_each(run, tmp_path):
    cell = next(cell for cell in run.cells if cell.adapter == "lora-r4")
    first, second = (_copy_adapter(run, cell, tmp_path) for _ in range(2))
    assert (first, second) == ("adapters/lora-r4--s0", f"adapters/{cell.key}")
    one, other = (
        {p.name: p.read_bytes() for p in (tmp_path / place).iterdir()} for place in (first, second)
    )
    assert one == other != {}


def test_a_folder_with_files_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    result = export(run.directory, "--export", tmp_path)
    assert result.exit_code == 2
    assert "not empty" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_the_app_would_answer_otherwise_is_refused(tmp_path, root):
    (tmp_path / "models").symlink_to(root / "models")
    (tmp_path / "suite.yaml").write_text("""\
name: labels
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: finance-labels, train: 30, test: 24}]
""")
    plan = harness.plan(
        tmp_path / "suite.yaml", output=tmp_path / "run", executor="in_process", backend="testing"
    )
    harness.run(plan)
    result = export(tmp_path / "run", "--export", tmp_path / "app")
    assert result.exit_code == 2
    assert "cannot be exported: it names a label" in result.output
    assert not (tmp_path / "app").exists()
