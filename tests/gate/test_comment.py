"""The comment on a pull request: short, found again by its first line, and harmless."""

import re

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.gate.comment import ROWS, as_comment, marker
from harness.gate.verdict import Check, GateVerdict
from harness.plan.plan import make_plan
from harness.results.answers import write_predictions
from harness.results.records import Environment
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.runner import run_here
from harness.suite.gate_rules import Rule

SUITE = """\
name: two-sides
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 60, test: 20}]
"""
EVIL = "Ask @octocat, closes #1 `code` | <img src=x> [x](http://evil.example) \x1b[2J"


@pytest.fixture
def run(tmp_path):
    """A run of one cell with one answer."""
    axes = ("tiny-qwen2", "none", "a", "ru-calculations", 0, "f")
    made = Run(tmp_path, {"name": "s"}, Environment(), (CellResult("k", "ok", *axes),))
    answer = {"id": "e1", "example_prompt": "2 + 2?", "reference": "4", "prediction": "5"}
    write_predictions(made.paths(made.cells[0]).predictions, [{**answer, "scores": {}}])
    return made


def checks(run, count, outcome="regression", text="Δ -0.4 [-0.5, -0.3] on 20 examples"):
    cell = next(cell for cell in run.cells if not cell.is_baseline)
    worst = () if outcome == "pass" else (run.predictions(cell)[0]["id"],)
    rule = Rule(metric="rougeL")
    return tuple(
        Check(rule, cell.row, "rougeL", outcome, text, regressions=worst) for _ in range(count)
    )


@pytest.mark.parametrize("count", [0, 1, ROWS, 100])
def test_a_comment_has_at_most_25_lines(run, count):
    verdict = GateVerdict("two sides", (*checks(run, count), *checks(run, 3, "pass")))
    lines = as_comment(verdict, run, "https://ci.example/1").splitlines()
    assert len(lines) <= 25
    assert lines[0] == marker("two sides") == "<!-- harness check: two-sides -->"
    assert lines[1].startswith("### ❌ two sides: " if count else "### ✅ two sides: ")
    assert lines[-1].startswith("[The whole report](https://ci.example/1)")
    assert ("The example that lost most `rougeL`" in "\n".join(lines)) == bool(count)
    if count > ROWS:
        assert f"And {count - ROWS} more that changed, 3 without a change." in lines


def test_cells_that_were_skipped_for_one_reason_are_one_row(run):
    skipped = checks(run, 30, "not-compared", "skipped: it needs a CUDA GPU")
    verdict = GateVerdict("two", (*checks(run, 1), *skipped, *checks(run, 3, "pass")))
    text = as_comment(verdict, run)
    assert text.count("it needs a CUDA GPU") == 1
    assert "| 30 cells |" in text
    assert "more that changed" not in text
    assert "And 3 without a change." in text


def test_nothing_changed_is_one_line(run):
    verdict = GateVerdict("two", checks(run, 3, "pass"))
    assert "Nothing changed in 3 checks." in as_comment(verdict, run).splitlines()


def test_what_a_model_wrote_calls_nobody_and_leads_nowhere(run):
    cell = next(cell for cell in run.cells if not cell.is_baseline)
    records = run.predictions(cell)
    records[0]["prediction"] = EVIL
    write_predictions(run.paths(cell).predictions, records)
    text = as_comment(GateVerdict("two", checks(run, 1, text=EVIL)), run)
    prose = re.sub(r"`[^`]*`", "", text)  # what is left when code spans are taken out
    for active in ("@octocat", r"(?<!\\)<img", r"(?<!\\)\[x", "http://", "\x1b", r"(?<!\\)#1"):
        assert not re.search(active, prose), active
    (row,) = (line for line in text.splitlines() if "Ask @octocat" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4  # a cell cannot be left either


def test_a_run_without_texts_has_a_comment_without_an_example(tmp_path):
    run = Run(tmp_path, {"name": "x"}, Environment(), ())
    rule = Rule(metric="rougeL")
    check = Check(rule, "m--none--a--d", "rougeL", "regression", "worse", regressions=("e1",))
    assert "lost most" not in as_comment(GateVerdict("x", (check,)), run)


def test_the_command_writes_it_with_the_link_of_the_workflow(write_suite, tmp_path):
    run_here(make_plan(write_suite(SUITE), tmp_path / "r", backend="testing"))
    args = ["check", str(tmp_path / "r"), "--against", str(tmp_path / "r")]
    comment = tmp_path / "comment.md"
    env = {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_REPOSITORY": "a/b",
           "GITHUB_RUN_ID": "7"}  # fmt: skip
    result = CliRunner().invoke(main, [*args, "--comment", str(comment)], env=env)
    assert result.exit_code == 0, result.output
    assert "https://git.example/a/b/actions/runs/7" in comment.read_text()
    bad = [*args, "--comment", str(comment), "--link", "javascript:alert(1)"]
    assert CliRunner().invoke(main, bad).exit_code == 2
