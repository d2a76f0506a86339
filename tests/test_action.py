"""`action.yml`: its scripts run here as GitHub runs them, and no value of a workflow is in them."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from composite_action import Names, evaluate, play

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r4, config: {r: 4}}]
  dataset: [{name: ru-calculations, rows: 160, train: 48, test: 12}]
"""
EVIL = 'x"; touch harmed; echo "$(touch harmed)`touch harmed`\' ; touch harmed'

PYTHON = """\
#!/bin/bash
# a python whose harness runs cells by the backend of the tests, and whose pip only writes
if [ "$1 $2" = "-m pip" ]; then printf '%s\\n' "$@" > pip.txt; exit 0; fi
if [ "$4" = run ]; then
  exec {python} -P -m harness.cli run --backend testing --executor in_process "${{@:5}}"
fi
exec {python} "$@"
"""
GH = """\
#!/bin/bash
printf '%s\\n' "$@" "--" >> gh.txt
case "$*" in *paginate*) cat known.txt 2>/dev/null || true;; esac
"""


@pytest.fixture(scope="module")
def action(root):
    return yaml.safe_load((root / "action.yml").read_text())


@pytest.fixture(scope="module")
def environment(root):
    """What the scripts see: the tools of the workspace, then the system's."""
    paths = [str(root), *(path for path in sys.path if path)]
    return {"PATH": "bin:/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="module")
def workspace(root, environment, tmp_path_factory):
    """A checkout with a suite that has run once, and what that run of the action did."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "suites").mkdir()
    (folder / "suites" / "small.yaml").write_text(SUITE)
    (folder / "bin").mkdir()
    for name, text in (("python", PYTHON.format(python=sys.executable)), ("gh", GH)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    inputs = {"suite": "suites/small.yaml", "install": "false"}
    first = play(root / "action.yml", inputs, folder, environment=environment)
    shutil.rmtree(folder / ".runner")
    return folder, first


@pytest.fixture
def start(root, workspace, environment, tmp_path):
    """Runs the action in a copy of the workspace, whose cells have run already."""
    folder = tmp_path / "copy"
    shutil.copytree(workspace[0], folder)

    def started(**inputs):
        github = inputs.pop("github", None)
        given = {"suite": "suites/small.yaml", "install": "false", **inputs}
        shutil.rmtree(folder / ".runner", ignore_errors=True)
        return play(root / "action.yml", given, folder, github=github, environment=environment)

    started.folder = folder
    return started


def test_no_value_of_a_workflow_is_part_of_a_script(action):
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(scripts) == 6
    for script in scripts:
        assert "${{" not in script
    for step in action["runs"]["steps"]:
        assert "run" not in step or step["shell"] == "bash"


def test_inputs_and_outputs_are_described(action):
    for each in [*action["inputs"].values(), *action["outputs"].values()]:
        assert each["description"]


def test_every_input_is_used_and_documented(action, root):
    text = (root / "action.yml").read_text()
    page = (root / "docs" / "ci.md").read_text()
    for name in action["inputs"]:
        assert f"inputs.{name}" in text
        assert f"| `{name}`" in page
    for name in action["outputs"]:
        assert f"`{name}`" in page


def test_the_first_run_has_no_baseline_and_still_uploads_its_page(workspace):
    folder, played = workspace
    assert played.steps == {"Run": 0, "Show": 0, "Check": 0, "Result": 3}
    assert played.outputs["directory"] == "runs/small"
    assert played.outputs["check-code"] == "3"
    assert (folder / played.outputs["page"]).is_file()
    assert "runs/small/leaderboard.html" in played.uploads["path"]
    assert "no baseline" in played.output


def test_a_run_like_its_baseline_is_green_and_says_so_on_the_pull_request(start):
    shutil.copytree(start.folder / "runs" / "small", start.folder / "base")
    github = {"event": {"pull_request": {"number": 7}}}
    played = start(against="base", comment="true", github=github)
    assert played.steps == dict.fromkeys(("Run", "Show", "Check", "Comment", "Result"), 0), (
        played.output
    )
    calls = (start.folder / "gh.txt").read_text()
    assert "repos/me/mine/issues/7/comments" in calls
    assert re.search(r"body=@\S+harness-comment.md", calls)
    assert "small" in played.summary


@pytest.mark.parametrize(
    ("known", "address"),
    [("", "repos/me/mine/issues/7/comments"), ("4711\n", "repos/me/mine/issues/comments/4711")],
)
def test_the_comment_of_an_earlier_run_is_replaced(known, address, action, workspace, tmp_path):
    shutil.copytree(workspace[0] / "bin", tmp_path / "bin")
    (tmp_path / "known.txt").write_text(known)
    (tmp_path / "harness-comment.md").write_text("<!-- harness check: small -->\nfine\n")
    script(action, "Comment", tmp_path, NUMBER="7", GITHUB_REPOSITORY="me/mine")
    last = (tmp_path / "gh.txt").read_text().split("--\n")[-2]
    assert address in last.splitlines()
    assert f"body=@{tmp_path}/harness-comment.md" in last.splitlines()


def script(action, name, folder, **variables):
    """Runs one step's script alone."""
    (step,) = (step for step in action["runs"]["steps"] if step["name"] == name)
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PATH": "bin:/usr/bin:/bin", "RUNNER_TEMP": str(folder), **variables},
    )  # fmt: skip


def test_a_suite_that_is_wrong_ends_the_job_at_once(start):
    played = start(suite="suites/absent.yaml")
    assert played.steps == {"Run": 2}
    assert played.uploads == {}


@pytest.mark.parametrize("name", ["suite", "select", "workers", "package"])
def test_a_hostile_value_is_an_argument_and_no_command(name, start):
    more = {"install": "true", "suite": "absent.yaml"} if name == "package" else {}
    start(**{name: EVIL, **more})
    assert not list(start.folder.rglob("harmed"))


def test_a_hostile_folder_is_a_folder_and_without_a_check_the_run_decides(start):
    played = start(check="false", **{"run-dir": EVIL.replace("/", "")})
    assert played.steps == {"Run": 0, "Show": 0, "Result": 0}
    assert played.outputs["check-code"] == ""
    assert (start.folder / EVIL / "leaderboard.html").is_file()
    assert not list(start.folder.rglob("harmed"))


def test_a_hostile_baseline_is_no_command(action, start, environment):
    (start.folder / "out").touch()
    done = script(
        action, "Check", start.folder, **environment, AGAINST=EVIL, PYTHON="python",
        DIRECTORY="runs/small", GITHUB_OUTPUT=str(start.folder / "out"),
    )  # fmt: skip
    assert (start.folder / "out").read_text() == "code=3\n", done.stderr
    assert not list(start.folder.rglob("harmed"))


def test_pip_installs_the_action_s_own_version_or_what_is_named(start, root):
    start(install="true", suite="absent.yaml")
    asked = (start.folder / "pip.txt").read_text().splitlines()
    assert asked == [
        "-m",
        "pip",
        "install",
        "-c",
        f"{root}/constraints.txt",
        "--",
        f"{root}[train]",
    ]
    start(install="true", suite="absent.yaml", package="finetune-harness==1")
    assert (start.folder / "pip.txt").read_text().splitlines()[-2:] == ["--", "finetune-harness==1"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [("inputs.a == 'x'", True), ("inputs.a != 'x' || inputs.b == ''", True), ("always() && inputs.c", ""),
     ("steps.run.outputs.code", "4")],
)  # fmt: skip
def test_expressions_are_read_as_on_github(expression, value):
    contexts = {"inputs": {"a": "x"}, "steps": {"run": {"outputs": {"code": "4"}}}}
    assert evaluate(expression, Names(contexts)) == value


def test_an_expression_that_is_not_known_is_no_guess():
    with pytest.raises(AssertionError, match="not understood"):
        evaluate("fromJSON(inputs.a)", Names({}))
