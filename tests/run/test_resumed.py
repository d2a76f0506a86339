"""A worker killed in the middle of a training: the next attempt goes on from its checkpoint."""

import os
import signal

import pytest

from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.run import load_run
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
    mark = Path(__file__).with_name(cell.name)
    if "killed" in cell.name and not mark.exists():
        mark.write_text("once")
        os.kill(os.getpid(), signal.SIGKILL)

if os.getpid() != PARENT:
    sys.addaudithook(kill)
"""
LORA = "config: {r: 4, lora_dropout: 0.2, target_modules: all-linear}"
SUITE = f"""\
name: resumed
matrix:
  model: [tiny-qwen2]
  adapter:
    - {{name: flat-whole, {LORA}}}
    - {{name: flat-killed, {LORA}}}
    - {{name: trl-whole, {LORA}, training: {{engine: trl}}}}
    - {{name: trl-killed, {LORA}, training: {{engine: trl}}}}
  dataset: [{{name: DATASET, train: 24, test: 8}}]
training:
  {{save_strategy: steps, save_steps: 2, per_device_train_batch_size: 4, learning_rate: 5e-3,
   max_length: 128}}
evaluation: {{latency_prompts: 0, noise_examples: 0}}
generation: {{max_new_tokens: 2}}
"""


@pytest.mark.parametrize(
    "dataset",
    [
        "ru-calculations",
        pytest.param("finance-labels, classify_by: head", marks=pytest.mark.reliability),
    ],
)
def test_a_killed_training_goes_on_and_ends_in_equal_results(
    write_suite, install_plugin, tmp_path, dataset
):
    install_plugin("kills_once", PLUGIN.replace("PARENT", str(os.getpid())))
    load_plugins()
    plan, events = make_plan(write_suite(SUITE.replace("DATASET", dataset)), tmp_path / "out"), []
    run_suite(plan, LocalExecutor(1, 1, limits=Limits(retry=1)), events.append)
    again = [event for event in events if event.text.startswith("again")]
    assert len(again) == 2, again
    assert all("killed" in e.key and f"signal {signal.SIGKILL:d}" in e.text for e in again)
    run = load_run(tmp_path / "out")
    cells = {cell.adapter: cell for cell in run.cells}
    assert {cell.status for cell in run.cells} == {"ok"}, [cell.reason for cell in run.cells]
    for engine in ("flat", "trl"):
        whole, killed = cells[f"{engine}-whole"], cells[f"{engine}-killed"]
        assert run.train_log(killed) == run.train_log(whole)
        weights = [
            (run.paths(cell).adapter / "adapter_model.safetensors").read_bytes()
            for cell in (whole, killed)
        ]
        assert weights[0] == weights[1]
        assert killed.facts["trained"]["training"]["resumed_after_steps"] == [2]
        assert [w for w in killed.audit.warnings if "resumed after step 2" in w]
        assert not [w for w in whole.audit.warnings if "resumed" in w]
    left = [cell.adapter for cell in run.cells if run.paths(cell).checkpoints.exists()]
    assert left == []
