"""Runs a composite GitHub action's shell steps here, as far as ours needs it.

Expressions are those of the workflow language that `action.yml` uses: contexts with dots, strings,
`==`, `!=`, `&&`, `||`, and `always()`. Anything else is an error, not a guess.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import yaml

TOKEN = re.compile(r"\s*(?:('[^']*')|(==|!=|&&|\|\||\(|\))|(always\(\))|([a-z][\w.-]*))")


class Names:
    """Contexts as attributes: `inputs.suite`; what is not there is empty, as on GitHub."""

    def __init__(self, contexts):
        self.contexts = contexts

    def get(self, path):
        value = self.contexts
        for part in path.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value


def evaluate(expression, names):
    """The value of an expression."""
    parts, place = [], 0
    expression = expression.strip()
    while place < len(expression):
        found = TOKEN.match(expression, place)
        assert found, f"not understood: {expression[place:]}"
        text, operator, always, name = found.groups()
        words = {"&&": "and", "||": "or"}
        if text is not None:
            parts.append(repr(text[1:-1]))
        elif operator:
            parts.append(words.get(operator, operator))
        else:
            parts.append("True" if always else repr(names.get(name)))
        place = found.end()
    for before, after in pairwise(parts):
        assert after != "(" or before in ("(", "and", "or"), f"not understood: {expression}"
    return eval(" ".join(parts), {"__builtins__": {}})


def substitute(text, names):
    """``text`` with each `${{ }}` replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda m: str(evaluate(m[1], names)), text)


@dataclass
class Played:
    """What a run of the action did."""

    steps: dict = field(default_factory=dict)
    """Step's name → exit code, of those that ran."""
    output: str = ""
    uploads: dict = field(default_factory=dict)
    summary: str = ""
    outputs: dict = field(default_factory=dict)
    """The action's own outputs."""


def play(path: Path, inputs: dict, folder: Path, *, github=None, environment=None) -> Played:
    """Run the action in ``path`` in ``folder``, which stands for the workspace."""
    action = yaml.safe_load(path.read_text())
    given = {name: str(value) for name, value in inputs.items()}
    assert set(given) <= set(action["inputs"]), "an input that the action does not have"
    runner = folder / ".runner"
    runner.mkdir()
    contexts = {
        "github": {"action_path": str(path.parent), "token": "t", **(github or {})},
        "runner": {"temp": str(runner)},
        "steps": {},
    }
    names = Names(contexts)
    contexts["inputs"] = {
        name: given.get(name, substitute(str(spec.get("default", "")), names))
        for name, spec in action["inputs"].items()
    }
    played, failed = Played(), False
    for number, step in enumerate(action["runs"]["steps"]):
        condition = step.get("if", "'true'")
        if failed and "always()" not in condition:
            continue
        if not evaluate(condition, names):
            continue
        if "uses" in step:
            played.uploads = {k: substitute(str(v), names) for k, v in step["with"].items()}
            continue
        files = {n: runner / f"{n}-{number}" for n in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        script = runner / f"step-{number}.sh"
        script.write_text(step["run"])
        env = {name: substitute(str(value), names) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=folder, capture_output=True, text=True,
            env={**os.environ, **(environment or {}), "RUNNER_TEMP": str(runner),
                 "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "me/mine",
                 **{n: str(file) for n, file in files.items()}, **env},
        )  # fmt: skip
        played.steps[step["name"]] = done.returncode
        played.output += done.stdout + done.stderr
        played.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        if "id" in step:
            outputs = dict(line.split("=", 1) for line in lines)
            contexts["steps"][step["id"]] = {"outputs": outputs}
        failed = failed or done.returncode != 0
    played.outputs = {n: substitute(o["value"], names) for n, o in action["outputs"].items()}
    return played
