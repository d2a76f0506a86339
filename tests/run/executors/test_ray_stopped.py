"""A run on Ray that is stopped: by Ctrl-C, or by `--fail-fast` at the first failed cell."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from plugin_site import found_in, write_plugin
from scripted import PLUGIN, scripted_suite

from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.run import load_run
from harness.run.executors.base import Wanted
from harness.run.executors.ray_executor import RayExecutor
from harness.run.runner import run_suite

pytestmark = pytest.mark.cluster

SUITE = """\
name: stopped
matrix:
  model: [tiny-qwen2]
  adapter: [ADAPTERS]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {noise_examples: 0, latency_prompts: 0}
"""
HANG = """
if not (folder / 'go').exists():
    (folder / f'pid-{os.getpid()}').touch()
    time.sleep(600)
"""
"""The first time a cell never ends by itself; its file says which process it is."""
FAIL = """
while not list(folder.glob('pid-*')): time.sleep(0.05)
if not (folder / 'go').exists(): raise HarnessError('it fails')
"""
"""Fails once the other cell is running."""


@pytest.fixture(scope="module")
def contract_backend(tmp_path_factory):
    """The plug-in that the nodes of `ray_cluster` find: here the scripted backend."""
    site = tmp_path_factory.mktemp("site")
    write_plugin(site, "scripted_backend", PLUGIN)
    with pytest.MonkeyPatch.context() as patch, found_in(site, patch):
        load_plugins()
        yield site


def until(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hanging(folder: Path):
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def test_fail_fast_ends_the_cells_that_run(ray_cluster, write_suite, tmp_path):
    suite = scripted_suite(write_suite, {"hangs": {"train": HANG}, "fails": {"train": FAIL}}, SUITE)
    executor = RayExecutor(Wanted())
    plan = make_plan(suite, tmp_path / "out", backend="scripted_backend", where=executor.site())
    counts = run_suite(plan, executor, lambda _: None, fail_fast=True)
    assert (counts["failed"], counts["ok"]) == (1, 1)
    (pid,) = hanging(tmp_path)
    until(lambda: not psutil.pid_exists(pid))
    states = {cell.adapter: cell.status for cell in load_run(tmp_path / "out").cells}
    assert states == {"base": "ok", "hangs": "missing", "fails": "failed"}
    (tmp_path / "go").touch()
    again = make_plan(suite, tmp_path / "out", backend="scripted_backend", where=executor.site())
    assert len(again.of("current")) == 1
    assert run_suite(again, RayExecutor(Wanted()), lambda _: None)["ok"] == 2


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_ends_the_cells_and_the_same_command_goes_on(
    ray_cluster, write_suite, tmp_path, times
):
    suite = scripted_suite(write_suite, {"hangs": {"train": HANG}}, SUITE)
    command = [
        sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(tmp_path / "out"),
        "--backend", "scripted_backend", "--executor", "ray", "--address", ray_cluster.address,
    ]  # fmt: skip
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: hanging(tmp_path) or first.poll() is not None)
    (pid,) = hanging(tmp_path)
    for _ in range(times):  # as from a terminal: every process there gets it
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGINT)
            time.sleep(0.3)
    _, errors = first.communicate(timeout=240)
    assert first.returncode == 130, errors
    assert "stopped" in errors
    assert "Traceback" not in errors
    until(lambda: not psutil.pid_exists(pid))
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/cells/*/result.json")}
    (tmp_path / "go").touch()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert {cell.status for cell in load_run(tmp_path / "out").cells} == {"ok"}
