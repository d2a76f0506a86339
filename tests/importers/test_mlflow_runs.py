"""Runs of MLflow as cells: what is read, what is paired, and what is refused."""

import json

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.results.run import load_run


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return MlflowClient((tmp_path / "mlruns").as_uri())


def add(store, name, params, metrics, status="FINISHED", table=None):
    found = store.get_experiment_by_name("tuning")
    experiment = found.experiment_id if found else store.create_experiment("tuning")
    run = store.create_run(experiment, run_name=name).info.run_id
    for key, value in params.items():
        store.log_param(run, key, value)
    for key, value in metrics.items():
        store.log_metric(run, key, value, step=1)
    if table:
        store.log_text(run, json.dumps(table), "eval_results_table.json")
    store.set_terminated(run, status)
    return run


def imported(*arguments):
    return CliRunner().invoke(main, ["import", *map(str, arguments)], catch_exceptions=False)


def table_of(hits):
    return {
        "columns": ["inputs", "ground_truth", "outputs", "token_count", "exact_match/v1/score"],
        "data": [[f"Question {k}?", str(k), str(k if hit else -1), 3, hit] for k, hit in enumerate(hits)],
    }  # fmt: skip


def test_parameters_are_axes_and_metrics_are_values(store, tmp_path):
    shared = {"base_model": "org/Base-1B", "random_state": "3"}
    add(store, "base", shared, {"eval_accuracy": 0.5, "eval_loss": 2.0, "speed": 7.0})
    add(store, "LoRA big", shared, {"eval_accuracy": 0.75, "eval_loss": 1.5, "speed": 9.0})
    add(store, "search", {}, {})
    columns = ("--columns", "model=base_model,seed=random_state")
    done = imported(
        tmp_path / "mlruns", *columns, "--metric", "eval_accuracy", "-o", tmp_path / "run"
    )
    assert done.exit_code == 0, done.output
    assert "1 finished run without a metric was left out" in done.output
    assert "no score per example" in done.output
    base, tuned = load_run(tmp_path / "run").cells
    assert (base.model, base.adapter, base.seed, base.dataset) == (
        "base-1b",
        "base",
        None,
        "tuning",
    )
    assert (tuned.adapter, tuned.seed, tuned.primary_metric) == ("lora-big", 3, "eval_accuracy")
    assert tuned.value("eval_accuracy").value == 0.75
    directions = {v.metric: v.higher_is_better for v in tuned.values}
    assert directions == {"eval_accuracy": True, "eval_loss": False, "speed": None}
    assert any("no interval, no p-value and no verdict" in w for w in tuned.audit.warnings)
    row = build_leaderboard(load_run(tmp_path / "run")).tables[0].rows[1]
    assert row.deltas == {} or row.deltas["eval_accuracy"].p_adjusted is None
    # the run has its baseline: what is missing are scores per example
    (decision,) = decisions(build_leaderboard(load_run(tmp_path / "run")))
    assert "No gain can be shown: one side has no predictions" in decision.headline
    again = imported(
        tmp_path / "mlruns", *columns, "--metric", "eval_accuracy", "-o", tmp_path / "run"
    )
    assert again.exit_code == 0, again.output


def test_the_table_of_mlflow_evaluate_is_paired_by_example(store, tmp_path):
    add(
        store,
        "base",
        {"model": "m"},
        {"exact_match/v1/mean": 0.25},
        table=table_of([0] * 30 + [1] * 10),
    )
    add(
        store,
        "tuned",
        {"model": "m"},
        {"exact_match/v1/mean": 0.9},
        table=table_of([1] * 36 + [0] * 4),
    )
    done = imported(tmp_path / "mlruns", "--metric", "exact_match", "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    delta = build_leaderboard(run).tables[0].rows[1].deltas["exact_match"]
    assert (delta.won, delta.lost, delta.verdict) == (30, 4, "better")
    assert run.predictions(run.cells[0])[0]["prompt"] == "Question 0?"
    assert run.cells[0].audit.warnings == ()


def test_an_experiment_of_a_server_is_named(store, tmp_path, monkeypatch):
    run = add(store, "base", {"model": "m"}, {"eval_loss": 2.0})
    add(store, "other", {"model": "m"}, {"eval_loss": 1.0})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    assert imported("mlflow:tuning", "-o", tmp_path / "all").exit_code == 0
    assert len(load_run(tmp_path / "all").cells) == 2
    assert imported(f"mlflow:{run}", "-o", tmp_path / "one").exit_code == 0
    (cell,) = load_run(tmp_path / "one").cells
    assert (cell.adapter, cell.primary_metric) == ("base", "eval_loss")
    wrong = imported("mlflow:tuninng", "-o", tmp_path / "none")
    assert wrong.exit_code == 2
    assert 'Did you mean "tuning"?' in wrong.output


def test_what_is_said_of_a_source_counts_its_own_runs(store, tmp_path):
    one = add(store, "base", {"model": "m"}, {"eval_loss": 2.0})
    other = add(store, "other", {"model": "m"}, {"eval_loss": 1.0})
    (experiment,) = {p.parent for p in (tmp_path / "mlruns").glob(f"*/{one}")}
    sources = (experiment / one, experiment / other)
    done = imported(*sources, "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    for source in sources:
        assert f"{source}: 1 of 1 run: " in done.output.replace("\n", " ")


def test_a_run_that_has_not_finished_is_a_failed_cell(store, tmp_path):
    add(store, "base", {"model": "m"}, {"eval_loss": 2.0})
    add(store, "lost", {"model": "m"}, {"loss": 2.0}, status="KILLED")
    assert imported(tmp_path / "mlruns", "-o", tmp_path / "run").exit_code == 0
    lost = next(c for c in load_run(tmp_path / "run").cells if c.adapter == "lost")
    assert (lost.status, lost.reason) == ("failed", "the run of MLflow is KILLED")


@pytest.mark.parametrize(
    ("params", "metrics", "arguments", "said"),
    [
        ({"base": "m"}, {"eval_loss": 1.0}, (), "no parameter `model`"),
        ({"base": "m"}, {"eval_loss": 1.0}, ("--columns", "model=bas"), 'Did you mean "base"?'),
        ({"model": "m"}, {"eval_loss": 1.0}, ("--columns", "modl=x"), 'unknown field "modl"'),
        ({"model": "m"}, {"f1": 1.0}, (), "no metric to compare by was named"),
        ({"model": "m"}, {"f1": 1.0}, ("--metric", "f2"), 'no metric "f2"'),
        ({"model": "m", "seed": "-1"}, {"eval_loss": 1.0}, (), "not a whole number"),
        ({"model": "m"}, {"eval_loss": 1.0}, ("--labels", "a,b"), "without --labels"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(store, tmp_path, params, metrics, arguments, said):
    add(store, "one", params, metrics)
    done = imported(tmp_path / "mlruns", *arguments, "-o", tmp_path / "run")
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_two_runs_of_one_cell_are_refused(store, tmp_path):
    for _ in range(2):
        add(store, "same", {"model": "m"}, {"eval_loss": 1.0})
    done = imported(tmp_path / "mlruns", "-o", tmp_path / "run")
    assert done.exit_code == 2
    assert "has the same cell as" in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        (json.dumps({"columns": ["x", "em/score"], "data": [["a", 1]]}), "no column for `prompt`"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(store, tmp_path, text, said):
    run = add(store, "one", {"model": "m"}, {"eval_loss": 1.0})
    store.log_text(run, text, "eval_results_table.json")
    done = imported(tmp_path / "mlruns", "-o", tmp_path / "run")
    assert done.exit_code == 2
    assert said in done.output


def test_the_password_of_a_server_that_is_not_there_is_not_quoted(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:s3cret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = CliRunner().invoke(main, ["import", "mlflow:tries", "-o", str(tmp_path / "run")])
    assert found.exit_code == 2, found.output
    assert "http://***@127.0.0.1:9" in found.output
    assert "s3cret" not in found.output
