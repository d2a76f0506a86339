"""The pre-commit hooks, run by pre-commit itself on a repository that is made here."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("pre_commit")

GOOD = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [ru-calculations]
"""


@pytest.fixture(scope="module")
def hooks(root):
    return {
        hook["id"]: hook for hook in yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
    }


@pytest.fixture
def try_hook(root, tmp_path, monkeypatch):
    """Runs a hook on files of a new git repository by `pre-commit try-repo`."""
    for name, value in {
        "PRE_COMMIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path),
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a.invalid",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a.invalid",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "harness").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m harness.cli "$@"\n')
    (tools / "harness").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    paths = [str(root), *(path for path in sys.path if path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    ours = repository(tmp_path / "ours")
    shutil.copy(root / ".pre-commit-hooks.yaml", ours)
    commit(ours)

    def tried(files, *arguments):
        theirs = repository(tmp_path / "theirs")
        for name, text in files.items():
            (theirs / name).parent.mkdir(exist_ok=True)
            (theirs / name).write_text(text)
        commit(theirs)
        command = [sys.executable, "-m", "pre_commit", "try-repo", ours, "harness-validate-system"]
        return subprocess.run(
            [*command, "--all-files", "--verbose", *arguments],
            cwd=theirs,
            capture_output=True,
            text=True,
        )

    return tried


def repository(folder):
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def commit(folder):
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "x", "--no-verify"], cwd=folder, check=True)


def test_good_suites_pass_and_other_files_are_left_alone(try_hook):
    files = {
        "suites/a.yaml": GOOD,
        "suites/b.yml": GOOD,
        "config.yaml": "x: 1\n",
        "suites/c.txt": "x",
    }
    done = try_hook(files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(\S+): ok, 2 cells", done.stdout) == ["suites/a.yaml", "suites/b.yml"]


def test_a_wrong_suite_stops_the_commit_and_names_the_line(try_hook):
    done = try_hook({"suites/a.yaml": GOOD.replace("r: 4", "rr: 4"), "suites/b.yaml": GOOD})
    assert done.returncode == 1
    assert "suites/a.yaml:4: matrix.adapter.0.config.rr: unknown" in done.stdout
    assert "suites/b.yaml: ok" in done.stdout


def test_both_hooks_run_the_same_command(hooks):
    """An environment of its own needs a package index; what it runs is what was tried above."""
    first, second = hooks["harness-validate"], hooks["harness-validate-system"]
    differing = {"id", "language", "description"}
    assert {k: v for k, v in first.items() if k not in differing} == {
        k: v for k, v in second.items() if k not in differing
    }
    assert (first["language"], second["language"]) == ("python", "system")


def test_the_page_names_both_hooks(hooks, root):
    page = (root / "docs" / "ci.md").read_text()
    assert all(f"| `{name}` |" in page for name in hooks)
