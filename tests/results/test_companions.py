"""A result belongs to the files beside it: cut, edited or gone, each is named by every reader."""

import errno
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.companions import draft_of
from harness.results.result import load_result
from harness.results.run import load_run
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite
from harness.scoring import rescoring
from harness.scoring.rescoring import rescore

SUITE = """\
name: beside
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 20, test: 8}]
evaluation: {noise_examples: 4, control: everyday}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, root):
    """A finished run, and its suite."""
    home = tmp_path_factory.mktemp("beside")
    (home / "models").symlink_to(root / "models")
    suite = home / "suite.yaml"
    suite.write_text(SUITE)
    finish(suite, home / "run")
    return home


@pytest.fixture
def run(made, tmp_path):
    """A copy of the finished run, to be damaged."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def finish(suite, out):
    plan = make_plan(suite, out, backend="testing")
    run_suite(plan, InProcessExecutor(), lambda _: None)
    return plan


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def tuned(run):
    (home,) = run.glob("cells/*--a--*")
    return home


READERS = {
    "report": lambda run: invoke("report", run, "-o", run.parent / "out"),
    "compare": lambda run: invoke("compare", run, "--axis", "adapter"),
    "score": lambda run: invoke("score", run),
    "check": lambda run: invoke("check", run, "--against", run.parent / "baseline.json"),
    "baseline": lambda run: invoke(
        "baseline", "update", run, "-o", run.parent / "new.json", "--reason", "a test"
    ),
    "pack": lambda run: invoke("pack", run, "-o", run.parent / "run.tar.xz"),
}


def cut(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))


def edit(path):
    text = path.read_text()
    path.write_text(text.replace('prediction": "', 'prediction": "X', 1))


def edit_in_place(path):
    """Another answer of the same length: neither the rows nor the size tell."""
    text = path.read_text()
    path.write_text(text.replace("…", "‥", 1))


DAMAGES = {
    "gone": (Path.unlink, "the file is gone; result.json was computed from its 8 rows"),
    "cut": (cut, "5 answers; result.json was computed from 8"),
    "edited": (edit, "is not the file that result.json was computed from"),
    "in place": (edit_in_place, "is not the file that result.json was computed from"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_answers_that_are_not_those_of_the_result_are_refused(run, reader, damage):
    if reader == "check":
        updated = invoke(
            "baseline", "update", run, "-o", run.parent / "baseline.json", "--reason", "a test"
        )
        assert updated.exit_code == 0, updated.output
    path = tuned(run) / "predictions.jsonl"
    change, message = DAMAGES[damage]
    change(path)
    kept = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    found = READERS[reader](run)
    assert found.exit_code == 2, found.output
    assert f"{path}: {message}" in found.output
    now = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    assert now == kept
    assert not (run.parent / "new.json").exists()
    assert not (run.parent / "run.tar.xz").exists()


@pytest.mark.parametrize("name", ["control.jsonl", "train_log.jsonl"])
def test_every_table_of_a_report_is_asked_for(run, name):
    (tuned(run) / name).unlink()
    found = READERS["report"](run)
    assert found.exit_code == 2, found.output
    assert f"{name}: the file is gone" in found.output


COMPANIONS = ("predictions.jsonl", "control.jsonl", "repeats.jsonl", "train_log.jsonl", "adapter")


@pytest.mark.parametrize("name", COMPANIONS)
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_run_makes_again_what_is_damaged_and_says_so(made, run, name, how):
    path = tuned(run) / name
    victim = path / "adapter.json" if name == "adapter" else path
    if how == "changed":
        victim.write_text(victim.read_text()[:-2] + " \n")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    planned = make_plan(made / "suite.yaml", run, backend="testing")
    (decision,) = planned.of("run")
    assert decision.reason.startswith(name)
    assert decision.reason.endswith(
        f": done again, kept as {name}.damaged" if how == "changed" and name != "adapter" else
        ": done again"
    )  # fmt: skip
    finish(made / "suite.yaml", run)
    whole, again = (load_result(tuned(r) / "result.json") for r in (made / "run", run))
    assert again.companions == whole.companions
    assert again.values == whole.values
    assert not make_plan(made / "suite.yaml", run, backend="testing").of("run")


def test_answers_are_not_kept_where_the_adapter_is_trained_again(made, run):
    shutil.rmtree(tuned(run) / "adapter")
    planned = make_plan(made / "suite.yaml", run, backend="testing")
    assert [decision.word for decision in planned.decisions] == ["current", "train"]
    assert planned.decisions[1].reuse == {}


@pytest.mark.parametrize("after", ["draft", "result"])
def test_scoring_that_is_killed_between_two_files_leaves_a_whole_cell(run, monkeypatch, after):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    for path in run.glob("cells/*/result.json"):
        path.write_text(path.read_text().replace("|v:", "|v:0"))
    found = load_run(run)
    with monkeypatch.context() as patch:
        if after == "draft":
            patch.setattr(rescoring, "save_result", kill)
        else:  # dies where the answers would be put in place
            patch.setattr(Path, "replace", _but_for_drafts(Path.replace, kill))
        with pytest.raises(Killed):
            rescore(found)
    assert list(run.glob("cells/*/.predictions.jsonl.next"))
    for cell in load_run(run).cells:
        assert load_run(run).predictions(cell)
    rescore(load_run(run))
    assert not list(run.glob("cells/*/.predictions.jsonl.next"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS], ids=lambda n: f"{n}")
@pytest.mark.parametrize("command", ["show", "report", "pack"])
def test_a_cell_to_be_finished_in_a_run_that_is_only_read_is_one_clear_error(
    run, tmp_path, monkeypatch, command, number
):
    (path,) = run.glob("cells/*--a--*/predictions.jsonl")
    draft_of(path).write_bytes(path.read_bytes())
    path.write_text("of the time before")

    def refuse():
        raise OSError(number, "what the system says", str(path))

    # root may write anywhere, so the system's refusal is played
    monkeypatch.setattr(Path, "replace", _but_for_drafts(Path.replace, refuse))
    out = () if command == "show" else ("-o", tmp_path / f"{command}.tar.xz")
    found = invoke(command, run, *out)
    assert found.exit_code == 2
    assert "you may not write into it to finish that" in " ".join(found.output.split())
    assert "run `harness show` on the run once" in " ".join(found.output.split())
    assert draft_of(path).exists()


def _but_for_drafts(rename, kill):
    def replace(self, target):
        return kill() if self == draft_of(Path(target)) else rename(self, target)

    return replace


def test_a_result_of_an_older_version_is_read_by_its_count_alone(run):
    path = tuned(run) / "result.json"
    old = json.loads(path.read_text()) | {"schema": 2}
    del old["companions"]
    path.write_text(json.dumps(old))
    edit(tuned(run) / "predictions.jsonl")
    assert len(load_run(run).predictions(load_result(path))) == 8
    cut(tuned(run) / "predictions.jsonl")
    assert "5 answers" in READERS["report"](run).output
