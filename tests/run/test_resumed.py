"""A worker killed in the middle of a training: the next attempt goes on from its checkpoint."""

import os
import signal

import pytest

from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.result import load_run
from harness.run.executors.limits import Limits
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

PLUGIN = """\
import os, signal, sys
from pathlib import Path

def kill(event, arguments):
    if event != "os.mkdir" or Path(str(arguments[0])).name != "checkpoint-4":
        return
    cell = Path(arguments[0]).parents[1]
    for mark in MARKS:
        if f"/{mark.parent.name}/" in str(cell) and not (mark / cell.name).exists():
            (mark / cell.name).write_text("killed once")
            os.kill(os.getpid(), signal.SIGKILL)

MARKS = [Path(line) for line in Path(__file__).with_name("marks").read_text().split()]
if os.getpid() != PARENT:
    sys.addaudithook(kill)
"""
SUITE = """\
name: resumed
matrix:
  model: [tiny-qwen2]
  adapter:
    - {name: flat, config: {r: 4, lora_dropout: 0.2, target_modules: all-linear}}
    - {name: trl, config: {r: 4, lora_dropout: 0.2, target_modules: all-linear}, training: {engine: trl}}
  dataset: [{name: DATASET, train: 24, test: 4}]
training:
  {save_strategy: steps, save_steps: 2, per_device_train_batch_size: 4, learning_rate: 5e-3, max_length: 128}
evaluation: {latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 4}
"""


@pytest.mark.parametrize(
    "dataset", ["ru-calculations", pytest.param("finance-labels", marks=pytest.mark.reliability)]
)
def test_a_killed_training_goes_on_and_ends_in_equal_results(
    write_suite, install_plugin, tmp_path, dataset
):
    site = install_plugin("kills_once", PLUGIN.replace("PARENT", str(os.getpid())))
    marks = tmp_path / "killed" / "marks"
    marks.mkdir(parents=True)
    (site / "marks").write_text(str(marks))
    load_plugins()
    suite = write_suite(SUITE.replace("DATASET", dataset))
    runs = {}
    for name in ("whole", "killed"):
        events = []
        plan = make_plan(suite, tmp_path / name)
        run_suite(plan, LocalExecutor(1, 1, limits=Limits(retry=1)), events.append)
        again = [event.text for event in events if event.text.startswith("again")]
        expected = 2 if name == "killed" else 0
        assert len(again) == expected, again
        assert all(f"signal {signal.SIGKILL:d}" in text for text in again)
        runs[name] = load_run(tmp_path / name)
    pairs = zip(runs["whole"].cells, runs["killed"].cells, strict=True)
    for whole, killed in pairs:
        assert (whole.status, killed.status) == ("ok", "ok"), killed.reason
        if whole.is_baseline:
            continue
        assert runs["killed"].train_log(killed) == runs["whole"].train_log(whole)
        weights = [
            (run.paths(whole).adapter / "adapter_model.safetensors").read_bytes()
            for run in runs.values()
        ]
        assert weights[0] == weights[1]
        assert killed.facts["trained"]["training"]["resumed_after_steps"] == [2]
        assert [w for w in killed.audit.warnings if "resumed after step 2" in w]
        assert not [w for w in whole.audit.warnings if "resumed" in w]
        assert not runs["killed"].paths(killed).checkpoints.exists()
        assert not runs["whole"].paths(whole).checkpoints.exists()
