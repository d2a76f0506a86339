"""A suite that reports to trackers: the same results, and all of them at the trackers."""

import json
import re
import sys

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

import harness
from harness.api.running import execute
from harness.cli import main
from harness.errors import SuiteError
from harness.results.paths import read_json
from harness.results.run import load_run

TOLD = "max_length: 256, report_to: [tensorboard, mlflow]"
KEYS = ("fingerprint", "values", "stages", "confusion", "noise", "audit")


def run(suite, out, executor="in_process"):
    made = harness.plan(suite, output=out, executor=executor, backend="testing")
    return execute(made)


def results(out):
    return {
        path.parent.name: {key: read_json(path)[key] for key in KEYS}
        for path in sorted(out.glob("cells/*/result.json"))
    }


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


@pytest.fixture
def suite(write_suite, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    path = write_suite()

    def write(told=TOLD):
        path.write_text(re.sub(r"max_length: 256[^}]*", told, path.read_text()))
        return path

    return write


def test_everything_of_a_run_is_at_both_trackers_and_no_result_is_another(suite, tmp_path):
    plain = run(suite("max_length: 256"), tmp_path / "plain")
    out = tmp_path / "told"
    told = run(suite(), out, executor="local")  # each cell's trackers are started by its worker
    assert results(out) == results(tmp_path / "plain")
    assert told.warnings == plain.warnings == ()
    assert not (tmp_path / "plain" / "trackers").exists()
    keys = {cell.key for cell in told.run.cells}
    tuned = next(cell for cell in told.run.cells if not cell.is_baseline)

    boards = out / "trackers" / "tensorboard"
    assert {p.name for p in boards.iterdir()} == {*keys, "told"}
    curves = scalars(boards / tuned.key)
    assert [(e.step, e.value) for e in curves.Scalars("train/loss")] == [(1, 1.0), (2, 0.5)]
    rouge = tuned.value("rougeL")
    assert curves.Scalars("result/rougeL")[0].value == pytest.approx(rouge.value)
    assert curves.Scalars("result/rougeL_ci_low")[0].value == pytest.approx(rouge.ci_low)
    assert "_hparams_/session_start_info" in curves.summary_metadata
    summary = scalars(boards / "told")
    text = summary.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "tiny-qwen2" in text
    assert "results/text_summary" in summary.Tags()["tensors"]

    store = MlflowClient((out / "trackers" / "mlruns").as_uri())
    (experiment,) = [e for e in store.search_experiments() if e.name == "small"]
    runs = {r.info.run_name: r for r in store.search_runs([experiment.experiment_id])}
    assert set(runs) == {*keys, "told"}
    parent = runs.pop("told")
    assert {r.data.tags["mlflow.parentRunId"] for r in runs.values()} == {parent.info.run_id}
    assert {r.info.status for r in [parent, *runs.values()]} == {"FINISHED"}
    one = runs[tuned.key]
    history = store.get_metric_history(one.info.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 0.5)]
    assert one.data.metrics["result/rougeL"] == rouge.value
    assert one.data.params["adapter"] == "lora-r4"
    assert one.data.params["training.learning_rate"] == "0.005"
    assert one.data.params["adapter.r"] == "4"
    place = out / "trackers" / "mlruns" / experiment.experiment_id / parent.info.run_id
    page = (place / "artifacts" / "report" / "index.html").read_bytes()
    assert page == (out / "leaderboard.html").read_bytes()
    table = json.loads((place / "artifacts" / "tables" / "results.json").read_text())
    assert len(table["data"]) == len(told.run.to_frame())
    is_back_with_its_intervals(told.run, out / "trackers" / "mlruns", tmp_path / "back")


def is_back_with_its_intervals(told, place, out):
    """`harness import` of what was reported gives the same values."""
    done = CliRunner().invoke(main, ["import", str(place), "-o", str(out)])
    assert done.exit_code == 0, done.output
    back = {cell.adapter: cell for cell in load_run(out).cells}
    assert set(back) == {"base", "lora-r4"}
    for cell in told.cells:
        same, read = cell.value(cell.primary_metric), back[cell.adapter].value(cell.primary_metric)
        assert (read.value, read.ci_low, read.ci_high) == (same.value, same.ci_low, same.ci_high)
        assert read.higher_is_better == same.higher_is_better
        assert back[cell.adapter].primary_metric == cell.primary_metric


def test_a_finished_run_is_sent_once_the_suite_names_a_tracker(suite, tmp_path):
    """No cell is done again for it, and a run that was sent is not sent again."""
    out = tmp_path / "out"
    run(suite("max_length: 256"), out)
    before = results(out)
    path = suite("max_length: 256, report_to: tensorboard")
    outcome = run(path, out)
    assert outcome.counts["current"] == 2
    assert results(out) == before
    boards = out / "trackers" / "tensorboard"
    (tuned,) = [c for c in outcome.run.cells if not c.is_baseline]
    events = scalars(boards / tuned.key).Scalars("train/loss")
    assert [e.value for e in events] == [1.0, 0.5]
    files = sorted(boards.rglob("events.*"))
    assert run(path, out).board is None  # nothing to do
    assert sorted(boards.rglob("events.*")) == files


def test_a_tracker_that_fails_is_a_warning_on_the_row_and_at_the_end(suite, tmp_path):
    out = tmp_path / "out"
    (out / "trackers").mkdir(parents=True)
    (out / "trackers" / "tensorboard").write_text("a file where a folder has to be")
    outcome = run(suite("max_length: 256, report_to: [tensorboard]"), out)
    assert outcome.exit_code() == 0
    assert outcome.counts["ok"] == 2
    for cell in outcome.run.cells:
        assert any("tensorboard was not reported to" in w for w in cell.audit.warnings)
    assert any("tensorboard was not reported to" in w for w in outcome.warnings)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("tensorbord", 'Did you mean "tensorboard"?'),
        ("all", '"all" is not one of its values'),
        ("[tensorboard, mlfow]", "a list holds names of trackers alone"),
        ("[1]", "a list holds names of trackers alone"),
        ("3", "expected a list or null or tensorboard or mlflow"),
    ],
)
def test_another_value_is_refused_with_its_line(suite, value, said):
    path = suite(f"max_length: 256, report_to: {value}")
    with pytest.raises(SuiteError) as caught:
        harness.load_suite(path)
    assert "suite.yaml:10: training.report_to: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["none", "null", "[]"])
def test_nothing_is_reported_where_nothing_is_named(suite, value, tmp_path):
    made = harness.plan(suite(f"max_length: 256, report_to: {value}"), output=tmp_path / "out")
    assert [d.cell.report_to for d in made.decisions] == [(), ()]


def test_the_names_of_trackers_change_no_fingerprint(suite, tmp_path):
    prints = []
    for told in ("max_length: 256", TOLD):
        made = harness.plan(suite(told), output=tmp_path / "out")
        prints.append([d.fingerprint for d in made.decisions])
    assert prints[0] == prints[1]


def test_a_tracker_that_is_not_installed_is_one_error_with_its_extra(suite, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it could not be found
    path = suite("max_length: 256, report_to: [tensorboard, wandb]")
    done = CliRunner().invoke(main, ["validate", str(path), "--no-data"])
    assert done.exit_code == 2
    (line, *more) = done.output.strip().splitlines()
    assert "suite.yaml:10: training.report_to: wandb is not installed" in line
    assert "pip install 'finetune-harness[wandb]'" in line
    assert more == []


def test_a_report_sends_a_finished_run(suite, tmp_path):
    out = tmp_path / "out"
    outcome = run(suite("max_length: 256"), out)
    done = CliRunner().invoke(main, ["report", str(out), "--report-to", "tensorboard"])
    assert done.exit_code == 0, done.output
    boards = out / "trackers" / "tensorboard"
    assert {p.name for p in boards.iterdir()} == {"out", *(c.key for c in outcome.run.cells)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report-to", "tensorbord"], 'Did you mean "tensorboard"?'),
        (["{run}", "--report-to", "tensorboard", "-o", "{run}/both"], "trackers take one run"),
    ],
)
def test_a_report_that_cannot_be_sent_is_refused(suite, tmp_path, arguments, said):
    out = tmp_path / "out"
    run(suite("max_length: 256"), out)
    done = CliRunner().invoke(main, ["report", str(out), *(a.format(run=out) for a in arguments)])
    assert done.exit_code == 2
    assert said in done.output
