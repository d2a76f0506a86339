"""Nothing is lost and nothing is stored under another name: edits, NaN and metrics that raise."""

import json
import shutil

import pytest
from click.testing import CliRunner
from scripted import PLUGIN, scripted_suite

from harness.cli import main
from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.reading import read_predictions
from harness.results.result import load_result
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite

DATA = """\
name: edited
matrix:
  model: [MODEL]
  adapter: [ADAPTERS]
  dataset: [{source: data.jsonl, name: data, train: 8, test: 4, primary_metric: rougeL}]
evaluation: {noise_examples: 0, metrics: METRICS, control: control.jsonl}
"""
METRIC = """\
import datasets
import evaluate

class Words(evaluate.Metric):
    def _info(self):
        kinds = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(kinds))

    def _compute(self, predictions, references):
        return {"words": WORDS}
"""


@pytest.fixture
def write(write_suite, install_plugin, tmp_path, root):
    """Writes a suite with a script for each adapter, and everything that it reads."""
    install_plugin("scripted_inputs", PLUGIN)
    load_plugins()

    def make(scripts, *, metric="[]", text=DATA):
        rows = [{"instruction": f"Say {k}", "output": f"it is {k}"} for k in range(12)]
        (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        control = '{"prompt": "a", "reference": " b", "wrong": " c", "id": "1"}\n'
        (tmp_path / "control.jsonl").write_text(control)
        if not (tmp_path / "model").exists():
            shutil.copytree(root / "models" / "tiny" / "tiny-qwen2", tmp_path / "model")
        model = f"{{name: own, card: {{source: {tmp_path / 'model'}}}}}"
        text = text.replace("METRICS", metric).replace("MODEL", model)
        return scripted_suite(write_suite, scripts, text)

    return make


def run(suite, out):
    plan = make_plan(suite, out, backend="scripted_inputs")
    run_suite(plan, InProcessExecutor(), lambda _: None)
    return {d.cell.adapter: load_result(plan.run.cell(d.key).result) for d in plan.decisions}


EDITS = {
    "data": ("data.jsonl", "the data set's file"),
    "control": ("control.jsonl", "the control set"),
    "model": ("model/config.json", "the model's files"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_edited_while_a_suite_runs_is_not_stored_under_the_old_hash(write, tmp_path, edit):
    file, words = EDITS[edit]
    code = f"p = folder / {file!r}; p.write_text(p.read_text() + ' ')"
    suite = write({"a": {"predict": code}})
    found = run(suite, tmp_path / "out")
    assert found["base"].status == "ok"
    assert found["a"].status == "failed"
    assert f"{words} changed while the suite ran" in found["a"].reason
    (tmp_path / "script.json").write_text("{}")
    again = make_plan(suite, tmp_path / "out", backend="scripted_inputs")
    assert len(again.of("run")) == 2, "the baseline is of the earlier text, too"
    assert run(suite, tmp_path / "out")["a"].status == "ok"


def test_a_prompt_style_whose_text_changes_is_not_current(write, tmp_path, monkeypatch):
    from harness.suite import prompt_styles

    suite = write({"a": {}})
    run(suite, tmp_path / "out")
    assert not make_plan(suite, tmp_path / "out", backend="scripted_inputs").of("run")
    monkeypatch.setitem(prompt_styles.TEMPLATES, "plain", "{{ prompt }} ")
    assert len(make_plan(suite, tmp_path / "out", backend="scripted_inputs").of("run")) == 2


TROUBLE = {
    "nan loss": (
        {"trained": "found.log[1]['loss'] = math.nan"},
        "training diverged: the loss is nan at step 2",
    ),
    "inf loss": (
        {"trained": "found.log[0]['loss'] = math.inf"},
        "training diverged: the loss is inf at step 1",
    ),
    "nan answer": (
        {"answered": "found.records[1]['nll'] = math.nan"},
        "`nll` is not a finite number in 1 of 4 answers",
    ),
    "nan number": (
        {"answered": "found.numbers['infer_peak_rss_mib'] = math.nan"},
        "infer_peak_rss_mib is nan after the stage `predict`",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_numbers_that_are_not_finite_are_said_and_lose_no_answers(write, tmp_path, trouble):
    script, message = TROUBLE[trouble]
    found = run(write({"a": script}), tmp_path / "out")
    assert found["a"].reason.startswith(message)
    path = tmp_path / "out" / "cells" / found["a"].key
    if "loss" in trouble:
        assert "Lower `training.learning_rate` (now 0.0002)" in (path / "cell.log").read_text()
    else:
        assert len(read_predictions(path / "predictions.jsonl")) == 4


def test_an_infinite_gradient_norm_is_no_divergence(write, tmp_path):
    """Mixed precision leaves such a step out and halves its scale."""
    script = {"trained": "found.log[0]['grad_norm'] = math.inf"}
    assert run(write({"a": script}), tmp_path / "out")["a"].status == "ok"


METRICS = {
    "raises": ("1 / 0", "raises ZeroDivisionError: division by zero"),
    "nan": ("float('nan')", 'the metric "words" gives nan for example'),
}


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_that_fails_on_the_answers_loses_none(write, tmp_path, metric):
    words, message = METRICS[metric]
    path = tmp_path / "words.py"
    path.write_text(METRIC.replace("WORDS", "1.0"))
    code = f"p = folder / 'words.py'; p.write_text(p.read_text().replace('1.0', \"{words}\"))"
    entry = f"[{{source: {path}, higher_is_better: true}}]"
    suite = write({"a": {"predict": code}}, metric=entry)
    found = run(suite, tmp_path / "out")
    assert found["a"].status == "failed"
    assert message in found["a"].reason
    home = tmp_path / "out" / "cells" / found["a"].key
    answers = home / "predictions.jsonl"
    assert len(read_predictions(answers)) == 4
    path.write_text(METRIC.replace("WORDS", "2.0"))
    (decision,) = make_plan(suite, tmp_path / "out", backend="scripted_inputs").of("run")
    assert decision.stages == ("score",), "neither training nor answers are repeated"
    again = run(suite, tmp_path / "out")["a"]
    assert (again.status, again.value("words").value) == ("ok", 2.0)


def test_a_changed_metric_file_is_scored_again_and_planned_so(write, tmp_path):
    path = tmp_path / "words.py"
    path.write_text(METRIC.replace("WORDS", "1.0"))
    entry = f"[{{source: {path}, higher_is_better: true}}]"
    suite = write({"a": {}}, metric=entry)
    args = ["run", str(suite), "-o", str(tmp_path / "out"), "--backend", "scripted_inputs"]
    args += ["--executor", "in_process"]
    assert CliRunner().invoke(main, args).exit_code == 0
    path.write_text(METRIC.replace("WORDS", "3.0"))
    plan = CliRunner().invoke(main, ["plan", *args[1:]]).output
    assert "2 score, 0 current" in plan
    output = CliRunner().invoke(main, args).output
    assert "2 cells scored again" in output
    assert "nothing to do" in CliRunner().invoke(main, args).output
