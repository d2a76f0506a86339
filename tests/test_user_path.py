"""A home folder that is none is one message, wherever a path is read."""

import json

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.endpoint.answer_cache import AnswerCache, default_path
from harness.plan.hub import cache_folders
from harness.user_path import typed

NOBODY = "~no-such-user-4711"
SUITE = """\
name: paths
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: rows, source: rows.csv}]
"""
PLACES = {
    "data": ("source: rows.csv", f"source: '{NOBODY}/rows.csv'"),
    "adapter": ("config: {r: 4}", f"source: '{NOBODY}/a'"),
    "model": ("[tiny-qwen2]", f"[{{name: m, like: tiny-qwen2, card: {{source: '{NOBODY}/m'}}}}]"),
    "control": ("matrix:", f"evaluation: {{control: '{NOBODY}/c.jsonl'}}\nmatrix:"),
    "tasks": (
        "{name: rows, source: rows.csv}",
        f"{{name: rows, source: 'lm_eval:t', include_path: '{NOBODY}/t'}}",
    ),
}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [{"prompt": f"question {k}", "completion": f"answer {k}"} for k in range(40)]
    (tmp_path / "rows.csv").write_text(
        "prompt,completion\n" + "".join(f"{r['prompt']},{r['completion']}\n" for r in lines)
    )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize("place", PLACES)
def test_a_suite_names_the_home_of_nobody(rows, tmp_path, place):
    old, new = PLACES[place]
    (tmp_path / "s.yaml").write_text(SUITE.replace(old, new))
    found = CliRunner().invoke(main, ["plan", "s.yaml"])
    assert found.exit_code == 2, found.output
    assert NOBODY in found.output


@pytest.mark.parametrize("option", ["--data", "--model"])
def test_init_names_the_home_of_nobody(rows, option):
    words = {"--data": "rows.jsonl", "--model": "tiny-qwen2", option: f"{NOBODY}/x.jsonl"}
    found = CliRunner().invoke(main, ["init", *(part for pair in words.items() for part in pair)])
    assert found.exit_code == 2, found.output
    assert NOBODY in found.output


def test_without_a_home_folder_there_is_no_cache_of_answers_and_no_fault(monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", NOBODY)
    monkeypatch.setenv("HF_HOME", NOBODY)
    cache = AnswerCache(default_path())
    assert "no home folder" in cache.problem
    assert "HARNESS_CACHE" in cache.problem
    assert cache.get("x") is None
    assert str(cache_folders()["models"]).endswith("hub")


@pytest.mark.parametrize(
    ("path", "word"), [("runs/a", "runs/a"), ("my runs/a", "'my runs/a'"), ("a'b", "'a'\"'\"'b'")]
)
def test_a_path_in_a_command_can_be_pasted(path, word):
    assert typed(path) == word
