"""A launcher's variables do not change what a suite trains, and the result says that they were there."""

import os

import pytest
from scripted import PLUGIN, scripted_suite

from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.result import load_result
from harness.run.executors.in_process import InProcessExecutor
from harness.run.launcher import without_launcher
from harness.run.runner import run_suite

SEEN = 'Path(folder, "seen").write_text(" ".join(sorted(os.environ)))'


@pytest.mark.parametrize(
    "name",
    [
        "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU", "FSDP_OFFLOAD_PARAMS", "LOCAL_RANK",
        "RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID", "PMI_SIZE",
        "ACCELERATE_SOMETHING_NEW",
    ],
)  # fmt: skip
def test_a_variable_of_a_launcher_is_gone_meanwhile_and_back_after(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with without_launcher() as found:
        assert name in found
        assert name not in os.environ
    assert os.environ[name] == "1"


def test_what_training_itself_sets_does_not_reach_the_next_cell(monkeypatch):
    """Accelerate sets `ACCELERATE_USE_DEEPSPEED` where a suite names such a plug-in."""
    monkeypatch.setenv("LOCAL_RANK", "3")
    with without_launcher():
        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
        os.environ["LOCAL_RANK"] = "0"
    with without_launcher() as found:
        assert "ACCELERATE_USE_DEEPSPEED" not in found
    assert os.environ["LOCAL_RANK"] == "3"


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "ACCELERATE_LOG_LEVEL", "HF_HOME"])
def test_other_variables_stay(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with without_launcher() as found:
        assert name not in found
        assert os.environ[name] == "1"


@pytest.mark.parametrize("names", [[], ["ACCELERATE_MIXED_PRECISION", "LOCAL_RANK"]], ids=str)
def test_training_does_not_see_it_and_the_result_warns(
    names, write_suite, install_plugin, tmp_path, monkeypatch
):
    install_plugin("scripted_launched", PLUGIN)
    load_plugins()
    with without_launcher():
        for name in names:
            monkeypatch.setenv(name, "0")
        suite = scripted_suite(write_suite, {"lora": {"train": SEEN}})
        plan = make_plan(suite, tmp_path / "out", backend="scripted_launched")
        run_suite(plan, InProcessExecutor(), print)  # others fork from a process of before
    seen = (suite.parent / "seen").read_text().split()
    assert not {"ACCELERATE_MIXED_PRECISION", "LOCAL_RANK"} & set(seen)
    (key,) = (each.key for each in plan.decisions if each.cell.adapter == "lora")
    warnings = load_result(plan.run.cell(key).result).audit.warnings
    assert [w for w in warnings if "the environment's" in w] == [
        f"training did not follow the environment's {', '.join(names)}: the suite's keys decide"
    ] * bool(names)
