"""A tracker's process: what reaches it, and that nothing that happens there reaches the caller."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from harness.run.executors.limits import end_all
from harness.run.executors.stopping import stop
from harness.trackers import client
from harness.trackers.client import Tracking
from harness.trackers.messages import Ending, TableOf, TrackedRun, log_line, start_line

LOG = [{"loss": 1 / step, "learning_rate": 0.5, "step": step} for step in (1, 2, 3)]


@pytest.fixture(autouse=True)
def files_may_be_read(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def run_in(folder, **more):
    return TrackedRun("cell-a", "suite", "run", str(folder), {"model": "m", "seed": 0}, **more)


def accumulated(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def scalars(folder):
    found = accumulated(folder)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def track(names, run, log=LOG, ending=None):
    tracking = Tracking(names)
    tracking.start(run)
    for record in log:
        tracking.log(record)
    tracking.end(ending or Ending(ok=True, metrics={"rougeL": 0.5, "eval_loss": 2.0}))
    return tracking.close()


def test_tensorboard_has_the_curves_and_the_results_of_the_last_attempt_alone(tmp_path):
    track(["tensorboard"], run_in(tmp_path), [{"loss": 9.0, "step": 1}])
    ended = track(["tensorboard"], run_in(tmp_path), [*LOG[:2], LOG[0], *LOG])
    assert ended.warnings == []
    found = scalars(tmp_path / "tensorboard" / "cell-a")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3]
    assert [value for _, value in found["train/loss"]] == pytest.approx([1, 1 / 2, 1 / 3])
    assert found["train/learning_rate"] == [(1, 0.5), (2, 0.5), (3, 0.5)]
    assert found["result/rougeL"] == [(3, 0.5)]
    assert found["eval/loss"] == [(3, 2.0)]


def test_a_tracker_that_cannot_write_is_a_warning(tmp_path):
    (tmp_path / "tensorboard").write_text("a file where a folder has to be")
    ended = track(["tensorboard"], run_in(tmp_path))
    assert ended.handles == {"tensorboard": []}
    (warning,) = ended.warnings
    assert "tensorboard" in warning
    assert "NotADirectoryError" in warning or "FileExistsError" in warning


def test_a_tracker_that_is_not_installed_there_is_a_warning(tmp_path, monkeypatch):
    """A node of a cluster may lack what the driver has."""
    blocked = tmp_path / "blocked" / "tensorboard"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('broken')")
    monkeypatch.setenv("PYTHONPATH", str(blocked.parent))
    (warning,) = track(["tensorboard"], run_in(tmp_path)).warnings
    assert "ImportError" in warning


def test_a_server_that_never_answers_holds_nobody_up(tmp_path, monkeypatch):
    """Ten thousand steps are more than a pipe holds: they must not wait for the tracker."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(client, "PATIENCE", 0.5)
        monkeypatch.setattr(client, "PATIENCE_EACH", 0.0)
        others = set(psutil.Process().children())
        tracking = Tracking(["mlflow"])
        (process,) = set(psutil.Process().children()) - others
        tracking.start(run_in(tmp_path))
        for step in range(1, 10_001):
            tracking.log({"loss": 1.0, "step": step})
        tracking.end(Ending(ok=True))
        ended = tracking.close()
    assert "did not finish in time" in ended.warnings[0]
    assert not process.is_running()


def test_a_worker_that_is_gone_closes_its_run_as_failed(tmp_path):
    """The end of its input is all that a tracker's process sees of a worker that was killed."""
    lines = start_line(run_in(tmp_path)) + log_line(1, {"loss": 1.0})
    done = subprocess.run(
        [sys.executable, "-m", "harness.trackers.process", "mlflow"],
        input=lines, capture_output=True, check=True,
        env={**os.environ, **client.DEFAULTS},
    )  # fmt: skip
    assert "the worker ended" in json.loads(done.stdout)["problem"]
    from mlflow import MlflowClient

    store = MlflowClient((tmp_path / "mlruns").as_uri())
    (experiment,) = [e for e in store.search_experiments() if e.name == "suite"]
    (run,) = store.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("cell-a", "FAILED")
    assert run.data.metrics["loss"] == 1.0


WORKER = """
import sys, time
from harness.trackers.client import Tracking
from harness.trackers.messages import TrackedRun

tracking = Tracking(["tensorboard"])
tracking.start(TrackedRun("cell-a", "suite", "run", sys.argv[1], {"seed": 0}))
tracking.log({"loss": 1.0, "step": 1})
print("told", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_a_worker_that_is_ended_leaves_its_tracker_to_close_the_run(tmp_path, stopped):
    """Also one that stood still, with its tracker, while another cell measured."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout.readline() == "told\n"
    (tracker,) = psutil.Process(worker.pid).children()
    while not list(tmp_path.rglob("events.*")):
        time.sleep(0.05)
    if stopped:
        assert stop([worker.pid])
    end_all([worker.pid])
    assert worker.wait() < 0
    tracker.wait(240)
    events = accumulated(tmp_path / "tensorboard" / "cell-a")
    assert "_hparams_/session_end_info" in events.summary_metadata
    assert [e.value for e in events.Scalars("train/loss")] == [1.0]


def offline_history(folder):
    """The records of W&B's offline file: a log in LevelDB's format of protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.rglob("run-*.wandb")
    data, place, part = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if place % 32768 > 32768 - 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record, part = Record.FromString(part), b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                yield {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def test_wandb_offline_has_the_curves_the_table_and_the_page(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    page = tmp_path / "leaderboard.html"
    page.write_text("<p>the page</p>")
    ending = Ending(
        ok=True, metrics={"eval_loss": 2.0}, texts={"verdict": "- keep"},
        tables={"results": TableOf(["cell", "value"], [["a", 1.5], ["b", None]])},
        files={"report/index.html": str(page)},
    )  # fmt: skip
    ended = track(["wandb"], run_in(tmp_path), ending=ending)
    assert ended.warnings == []
    assert ended.handles["wandb"][0]["project"] == "suite"
    rows = list(offline_history(tmp_path / "wandb"))
    losses = [(r["train/global_step"], r["train/loss"]) for r in rows if "train/loss" in r]
    assert losses == [(record["step"], record["loss"]) for record in LOG]
    assert next(r["eval/loss"] for r in rows if "eval/loss" in r) == 2.0
    (html,) = (tmp_path / "wandb").rglob("*.html")
    assert "the page" in html.read_text()
    (table,) = (tmp_path / "wandb").rglob("*.table.json")
    assert json.loads(table.read_text())["data"] == [["a", 1.5], ["b", None]]


def test_trackio_has_the_curves_and_the_table(tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    import sqlite3

    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    tables = {"results": TableOf(["cell", "value"], [["a", 1.5]])}
    ended = track(["trackio"], run_in(tmp_path), ending=Ending(ok=True, tables=tables))
    assert ended.warnings == []
    with sqlite3.connect(tmp_path / "trackio" / "suite.db") as base:
        rows = base.execute("SELECT step, metrics FROM metrics ORDER BY step").fetchall()
    found = [(step, json.loads(text)) for step, text in rows]
    losses = [(step, numbers["train/loss"]) for step, numbers in found if "train/loss" in numbers]
    assert losses == [(record["step"], record["loss"]) for record in LOG]
    assert any("results" in numbers for _, numbers in found)


def test_what_a_tracker_says_of_its_server_holds_no_password(tmp_path, monkeypatch):
    """It becomes a warning on the row, and so goes into every report."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:s3cret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking(["mlflow"])
    tracking.start(run_in(tmp_path))
    tracking.end(Ending(ok=True))
    (warning,) = tracking.close().warnings
    assert "http://***@127.0.0.1:9" in warning
    assert "s3cret" not in warning


def test_a_reply_about_many_runs_does_not_fit_into_a_pipe_and_is_read_all_the_same(tmp_path):
    folder = tmp_path.joinpath(*["a" * 200] * 15)  # 24 runs reply as much as a thousand
    tracking = Tracking(["tensorboard"])
    for number in range(24):
        tracking.start(replace(run_in(folder), name=f"cell-{number}"))
        tracking.end(Ending(ok=True))
    ended = tracking.close()
    assert ended.warnings == []
    assert len(str(ended.handles)) > 2**16
    assert len(ended.handles["tensorboard"]) == 24
