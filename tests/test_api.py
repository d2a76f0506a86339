"""`import harness`: what it gives, what it costs, and that it says what the commands say."""

import inspect
import json
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

import harness
from harness.cli import main

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: "<b>bold</b>", config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
"""
WITHOUT_TORCH = """
import sys
import harness
run = harness.load_run(sys.argv[1])
board = harness.leaderboard(run)
board.to_frame(), board._repr_html_(), run.to_frame()
harness.compare(run, axis="adapter").to_frame()
harness.report(run, sys.argv[2])
harness.load_suite("ci"), harness.plan("ci"), harness.list_models(), harness.schema()
print("torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, request):
    """A run directory, by the backend without torch."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "models").symlink_to(request.config.rootpath / "models")
    (folder / "suite.yaml").write_text(SUITE)
    suite, out = folder / "suite.yaml", folder / "run"
    plan = harness.plan(suite, output=out, executor="in_process", backend="testing")
    harness.run(plan)
    return out


def python(code, *arguments):
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_all_is_sorted_and_every_name_is_there():
    assert harness.__all__ == sorted(harness.__all__)
    assert dir(harness) == harness.__all__
    for name in harness.__all__:
        assert getattr(harness, name) is not None, name


def test_what_the_house_promises_is_there():
    names = {"load_suite", "plan", "run", "load_run", "leaderboard", "compare", "check", "report"}
    assert names | {"predict", "list_models", "__version__"} <= set(harness.__all__)
    for name in harness.__all__:
        value = getattr(harness, name)
        assert isinstance(value, str | type) or inspect.getdoc(value), name


def test_the_version_is_the_distribution_s(root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "harness.__version__"}
    result = CliRunner().invoke(main, ["--version"])
    assert harness.__version__ in result.output


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        harness.no_such  # noqa: B018


PACKAGES = {
    "plan": "harness.plan.plan",
    "report": "harness.report.files",
    "run": "harness.run.runner",
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_function_and_a_package_share_a_name_whatever_was_imported_first(name):
    code = f"""
    import {PACKAGES[name]} as module
    import harness, inspect
    from harness import {name} as called
    assert called is harness.{name} and callable(called)
    assert {PACKAGES[name]} is module
    print(inspect.signature(harness.{name}), inspect.getdoc(harness.{name}))
    """
    function = getattr(__import__(harness._HOMES[name], fromlist=[name]), name)
    assert (
        python(textwrap.dedent(code)) == f"{inspect.signature(function)} {inspect.getdoc(function)}"
    )


def test_importing_it_is_light():
    heavy = "{'torch', 'pandas', 'numpy', 'pydantic', 'rich'}"
    code = f"import sys, harness; print(sorted({heavy} & set(sys.modules)))"
    assert python(code) == "[]"


def test_everything_but_running_and_predicting_leaves_torch_out(finished, tmp_path):
    assert python(WITHOUT_TORCH, finished, tmp_path / "report") == "False"


def test_a_run_is_taken_as_a_run_as_text_and_as_a_path(finished):
    read = harness.load_run(finished)
    frames = [harness.leaderboard(run).to_frame() for run in (read, str(finished), finished)]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_no_run_is_one_clear_error(tmp_path):
    with pytest.raises(harness.HarnessError, match="this is not a run directory"):
        harness.load_run(str(tmp_path))


def test_a_leaderboard_is_a_tidy_table(finished):
    frame = harness.leaderboard(finished).to_frame()
    primary = frame[frame.primary].set_index("adapter")
    assert list(primary.index) == ["base", "a", "<b>bold</b>"]
    assert primary.metric.unique().tolist() == ["numeric_accuracy"]
    assert primary.loc["a", "delta"] == pytest.approx(primary.value["a"] - primary.value["base"])
    assert not frame.duplicated(["dataset", "model", "quantization", "adapter", "metric"]).any()


def test_a_run_is_the_results_table(finished):
    import pandas

    harness.report(finished)
    frame = harness.load_run(finished).to_frame()
    stored = pandas.read_json(finished / "results.json")
    assert list(frame.columns) == list(stored.columns)
    assert len(frame) == len(stored)


def test_a_comparison_says_what_the_command_says(finished):
    found = harness.compare(finished, axis="adapter")
    result = CliRunner().invoke(main, ["compare", str(finished), "--axis", "adapter", "--json"])
    assert json.loads(result.output) == json.loads(json.dumps(found.records()))
    frame = found.to_frame()
    assert len(frame) == len(found.records()) > len(found) == 3


@pytest.mark.parametrize("kind", ["leaderboard", "comparison"])
def test_a_notebook_shows_it_with_every_name_escaped(finished, kind):
    shown = {
        "leaderboard": lambda: harness.leaderboard(finished),
        "comparison": lambda: harness.compare(finished, axis="adapter"),
    }
    html = shown[kind]()._repr_html_()
    assert html.startswith("<table>")
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>" not in html


WRONG = {
    "a plan is settled": (
        lambda run: harness.run(harness.plan("ci"), select="adapter=base"),
        "already decided by the plan",
    ),
    "one side": (lambda run: harness.compare(run), "Give a second run or cell, or an axis"),
    "an axis": (lambda run: harness.compare(run, axis="adaptor"), 'Did you mean "adapter"'),
    "a cell": (lambda run: harness.find_cells(run, "tiny-quen2"), 'no cell "tiny-quen2"'),
    "several cells": (lambda run: harness.predict(run, "tiny", ["a"]), "matches 3 cells"),
    "weights of no model": (
        lambda run: harness.push(run, "tiny-qwen2--none--a", "me/x", dry_run=run / "draft"),
        "the backend testing answered for it",
    ),
    "no prompt": (lambda run: harness.predict(run, "tiny-qwen2--none--a", [" "]), "no prompt"),
    "several runs": (lambda run: harness.report([run, run]), "needs a folder"),
    "a name": (lambda run: harness.pack(run, "run.zip"), r"end with \.tar\.xz"),
    "a packed run to score": (
        lambda run: harness.score(harness.pack(run, run / "p.tar.xz")),
        "cannot be scored again",
    ),
    "a packed run to merge": (
        lambda run: harness.merge(run / "m", [run, harness.pack(run, run / "p.tar.xz")]),
        "packed run cannot be merged",
    ),
    "a model": (lambda run: harness.describe_model("tiny-quen2"), 'Did you mean "tiny-qwen2"'),
    "an adapter's key": (
        lambda run: harness.describe_model("tiny-qwen2", rr=4),
        'lora: unknown key "rr"',
    ),
    "an adapter's method": (
        lambda run: harness.describe_model("tiny-qwen2", peft_type="lorra"),
        'Did you mean "lora"',
    ),
    "one prompt": (lambda run: harness.predict(run, "tiny-qwen2--none--a", " "), "no prompt"),
    "a metric": (lambda run: harness.leaderboard(run, metric="chrff"), "no cell has the metric"),
    "a compared metric": (
        lambda run: harness.compare(run, axis="adapter", metrics="chrff"),
        "no pair is compared by the metric",
    ),
    "a row's axis": (lambda run: harness.leaderboard(run, baseline_of="seed"), "no axis of a row"),
    "an objective": (lambda run: harness.report(run, order_by="speed"), "order_by: Input should"),
    "no run": (lambda _: harness.leaderboard([]), "no run given"),
    "a reason": (lambda run: harness.update_baseline(run, " "), "needs a reason"),
    "no cells": (lambda _: harness.plan("ci", select="model=nope"), "no model matches"),
    "labels": (lambda run: harness.import_answers([run], run, labels="a,b"), "give a list"),
    "an executor": (lambda run: harness.plan("ci", executor="locl"), 'Did you mean "local"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_clear_error(finished, name):
    call, message = WRONG[name]
    with pytest.raises(harness.HarnessError, match=message):
        call(finished)


def test_without_a_baseline_check_raises_and_the_command_ends_with_3(finished):
    with pytest.raises(harness.HarnessError, match="there is no baseline") as caught:
        harness.check(finished)
    assert caught.value.exit_code == 3
    assert CliRunner().invoke(main, ["check", str(finished)]).exit_code == 3


def test_a_run_checked_against_its_own_baseline_passes(finished, tmp_path):
    recorded = harness.update_baseline(finished, "the first", path=tmp_path / "b.json")
    assert recorded.cells == 3
    assert harness.check(finished, against=recorded.path).exit_code == 0
    assert harness.load_baseline(recorded.path).history[-1]["reason"] == "the first"


def test_one_source_is_a_path_and_not_its_letters(tmp_path):
    rows = "id,model,prompt,reference,prediction\n" + "".join(
        f"{k},m,p {k},r {k},r {k}\n" for k in range(4)
    )
    (tmp_path / "answers.csv").write_text(rows)
    found = harness.import_answers(str(tmp_path / "answers.csv"), tmp_path / "run")
    assert len(found.run.cells) == 1
