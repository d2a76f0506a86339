"""Nothing done is redone or lost: skips, interruption, a killed worker, strictness, plans."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from scripted import PLUGIN, scripted_suite

from harness.cli import main
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

MANY = """\
name: many
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
  seed: [0, 1, 2]
"""
REAL = """\
name: real
matrix:
  model: [tiny-qwen2, qwen2-0.5b-instruct]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
training: {max_steps: 1}
evaluation: {latency_prompts: 0}
generation: {max_new_tokens: 4}
"""

SLOW = {"train": "time.sleep(2)"}


@pytest.fixture
def without_gpu(monkeypatch):
    from harness.plan.machine import machine

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.cache_clear()
    yield
    machine.cache_clear()


def told(suite, out, **options):
    events = []
    plan = make_plan(suite, out, backend="testing")
    executor = LocalExecutor(2, 1)
    counts = run_suite(plan, executor, events.append, **options)
    return counts, events


def test_the_testing_backend_runs_every_cell(write_suite, tmp_path):
    counts, events = told(write_suite(MANY), tmp_path / "r")
    assert counts == {"ok": 7, "failed": 0, "skipped": 0, "current": 0}
    assert {e.kind for e in events} == {"stage", "done"}
    loaded = load_run(tmp_path / "r")
    base, tuned = (loaded.cells[i].value("numeric_accuracy").value for i in (0, 1))
    assert tuned > base


def test_interrupting_after_any_cell_and_running_again_gives_the_same_leaderboard(
    write_suite, tmp_path
):
    suite = write_suite(MANY)
    told(suite, tmp_path / "whole")

    class Enough(Exception):
        pass

    for cells in (1, 4):
        seen = []

        def stop(event, seen=seen, cells=cells):
            seen.append(event.kind)
            if seen.count("done") == cells:
                raise Enough

        out = tmp_path / f"cut{cells}"
        with pytest.raises(Enough):
            run_suite(make_plan(suite, out, backend="testing"), LocalExecutor(2, 1), stop)
        before = len(make_plan(suite, out, backend="testing").of("current"))
        assert before >= cells
        told(suite, out)
        texts = [
            CliRunner().invoke(main, ["report", str(folder), "-o", str(tmp_path / "x")])
            and (tmp_path / "x" / "results.csv").read_text()
            for folder in (out, tmp_path / "whole")
        ]
        assert texts[0] == texts[1]


def test_a_truncated_result_is_run_again(write_suite, tmp_path):
    suite = write_suite(MANY)
    told(suite, tmp_path / "r")
    broken = next((tmp_path / "r").rglob("result.json"))
    torn = broken.read_text()[:40]
    broken.write_text(torn)
    plan = make_plan(suite, tmp_path / "r", backend="testing")
    (decision,) = plan.of("run")
    assert decision.key == broken.parent.name
    assert decision.reason.startswith("result.json:2 is damaged: Unterminated")
    assert decision.reason.endswith("done again, kept as result.json.damaged")
    assert broken.read_text() == torn  # planning changes nothing
    args = ["run", str(suite), "-o", str(tmp_path / "r"), "--backend", "testing"]
    assert f"{decision.key}: {decision.reason}" in CliRunner().invoke(main, args).output
    assert (broken.parent / "result.json.damaged").read_text() == torn
    assert json.loads(broken.read_text())["status"] == "ok"


def test_a_result_of_a_newer_harness_is_refused_and_kept(write_suite, tmp_path):
    suite = write_suite(MANY)
    told(suite, tmp_path / "r")
    newer = next((tmp_path / "r").rglob("result.json"))
    newer.write_text(json.dumps({**json.loads(newer.read_text()), "schema": 99, "more": 1}))
    text = newer.read_text()
    with pytest.raises(
        HarnessError, match=r"result\.json: is of schema 99(?s:.*)Update the harness"
    ):
        make_plan(suite, tmp_path / "r", backend="testing")
    assert newer.read_text() == text


def test_a_skipped_cell_is_shown_and_strict_makes_it_a_failure(write_suite, tmp_path, without_gpu):
    suite, out = write_suite(REAL), tmp_path / "r"
    args = ["run", str(suite), "-o", str(out), "--backend", "testing"]
    first = CliRunner().invoke(main, args)
    assert first.exit_code == 0, first.output
    assert "2 cells skipped: qwen2-0.5b-instruct needs a CUDA GPU" in first.output
    assert "needs a CUDA GPU" in (out / "leaderboard.md").read_text()
    assert CliRunner().invoke(main, [*args, "--strict"]).exit_code == 4


def test_dry_run_prints_the_plan_and_writes_nothing(write_suite, tmp_path):
    out = tmp_path / "r"
    result = CliRunner().invoke(main, ["run", str(write_suite(MANY)), "-o", str(out), "--dry-run"])
    assert "6 train, 1 predict, 0 current, 0 skip" in result.output
    assert not out.exists()


def test_select_runs_what_it_names(write_suite, tmp_path):
    suite = write_suite(MANY)
    result = CliRunner().invoke(
        main, ["plan", str(suite), "--select", "adapter=base|b,seed=1", "--keys"]
    )
    assert "--b--" in result.output
    assert "--a--" not in result.output
    result = CliRunner().invoke(main, ["run", str(suite), "--select", "adapter=c"])
    assert result.exit_code == 2, "a misspelt name must not pass as a run with nothing to do"
    assert 'no adapter matches "c"' in result.output


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_where_it_was(write_suite, tmp_path, kill, install_plugin):
    out = tmp_path / "r"
    if kill == signal.SIGINT:  # which the libraries could answer with a traceback of theirs
        suite, backend = write_suite(REAL.replace(", qwen2-0.5b-instruct", "")), "hf"
    else:
        install_plugin("scripted_again", PLUGIN)
        suite, backend = scripted_suite(write_suite, {"a": SLOW}), "scripted_again"
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out)]
    command += ["--backend", backend]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [*command, "--workers", "1"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 400
    while not list(out.rglob("result.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    done = {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}
    assert done
    os.killpg(process.pid, kill)
    _, errors = process.communicate(timeout=400)
    assert "Traceback" not in errors
    again = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert {cell.status for cell in load_run(out).cells} == {"ok"}
