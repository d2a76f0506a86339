"""Cells on a Ray cluster: lost nodes, lost processes, a lost driver, and what a cell asks for."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.plan.machine import Machine
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.executors.base import Wanted, executor_of
from harness.run.executors.local import LocalExecutor
from harness.run.executors.ray_cluster import Node, nodes
from harness.run.executors.ray_executor import RayExecutor
from harness.run.runner import run_suite
from harness.suite.loading import load_suite
from harness.suite.model_card import Requirement

MANY = """\
name: many
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
  seed: [0, 1, 2]
evaluation: {latency_prompts: LATENCY}
"""


def node(gpu=None, memory=0.0, *, cpus=8.0, gpus=0.0, name="n"):
    kind = f"accelerator_type:{gpu}" if gpu else None
    return Node(name, Machine("cpu", int(cpus), 64.0, "", gpu, memory), cpus, gpus, kind)


H100 = node("H100", 80.0, cpus=32, gpus=2, name="h")
A100 = node("A100", 40.0, cpus=16, gpus=1, name="a")
PLAIN = node(cpus=8, name="p")
SMALL = node(cpus=4, name="s")
NEEDS = {
    # nodes, needs GiB, measured, accelerator -> what Ray is asked
    "a measuring cell has a card": ((H100,), 2.0, True, "none", {"num_cpus": 2, "num_gpus": 1.0}),
    "a small one has a part": ((H100,), 2.0, False, "none", {"num_cpus": 2, "num_gpus": 0.125}),
    "by its memory": ((H100,), 20.0, False, "none", {"num_cpus": 2, "num_gpus": 0.5}),
    "of the smallest card": ((A100,), 10.0, False, "none", {"num_cpus": 2, "num_gpus": 0.5}),
    "an unknown one has a card": ((H100,), None, False, "none", {"num_cpus": 2, "num_gpus": 1.0}),
    "a processor": ((PLAIN, SMALL), 2.0, False, "none", {"num_cpus": 1}),
    "all processors, to measure": ((PLAIN, SMALL), 2.0, True, "none", {"num_cpus": 8.0}),
    "a named card": (
        (H100, A100), 2.0, True, "a100",
        {"num_cpus": 2, "num_gpus": 1.0, "resources": {"accelerator_type:A100": 0.001},
         "label_selector": {"ray.io/node-id": "in(a)"}},
    ),
    "two cards to train on": (
        (H100, A100), 2.0, False, "none",
        {"num_cpus": 4, "num_gpus": 2.0, "label_selector": {"ray.io/node-id": "in(h)"}},
    ),
    "two processes where there is no card": ((PLAIN,), 2.0, False, "none", {"num_cpus": 2}),
    "a card that is large enough": (
        (H100, A100), 50.0, True, "cuda",
        {"num_cpus": 2, "num_gpus": 1.0, "label_selector": {"ray.io/node-id": "in(h)"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NEEDS)
def test_a_cell_asks_for_what_its_estimate_says(write_suite, case):
    nodes, needs_gib, measured, accelerator, expected = NEEDS[case]
    text = MANY.replace("LATENCY", "4" if measured else "0")
    path = write_suite(text + ("training: {devices: 2}\n" if case.startswith("two") else ""))
    cell = expand(load_suite(path), path)[1]
    needs = Requirement(accelerator=accelerator, memory_gib=needs_gib)
    cell = replace(cell, model=cell.model.model_copy(update={"requires": needs}))
    executor = RayExecutor(Wanted())
    executor.__dict__["_nodes"] = list(nodes)  # what the cluster would say
    options = executor._needs(cell, needs_gib).options
    assert options.pop("memory", None) == (None if needs_gib is None else needs_gib * 2**30)
    assert options == expected


def test_an_option_of_another_executor_is_refused():
    with pytest.raises(HarnessError, match="no effect on the executor ray"):
        executor_of("ray", devices=(0,))


def ends(events):
    return {event.key: event.kind for event in events if event.is_end}


@pytest.mark.cluster
def test_cells_on_a_lost_node_run_elsewhere_and_finished_ones_stay(ray_cluster, scripted, tmp_path):
    lost = ray_cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray_cluster.wait_for_nodes()
    code = f"""
    mark = Path({str(tmp_path)!r}) / (paths.directory.name + "-" + paths.directory.parts[-4])
    mark.touch()
    device.stage("slow")
    time.sleep(3)
    """
    executor = RayExecutor(Wanted())
    jobs = scripted(executor.machine())(*[code] * 4)
    for _, paths in jobs:  # without measuring, a cell takes one processor
        job = json.loads(paths.cell.read_text())
        job["cell"]["evaluation"]["latency_prompts"] = 0
        paths.cell.write_text(json.dumps(job))
    found, removed = [], False
    for event in executor.run(jobs):
        found.append(event)
        here = list(tmp_path.glob(f"job*-{lost.node_id[:12]}"))
        if here and not removed:
            ray_cluster.remove_node(lost, allow_graceful=False)
            removed = True
    assert removed
    assert ends(found) == {f"job{k}": "done" for k in range(4)}
    again = {event.key for event in found if event.text.startswith("again (")}
    assert again
    for key in again:
        assert {m.name for m in tmp_path.glob(f"{key}-*")} - {f"{key}-{lost.node_id[:12]}"}


class _Late:
    """Ray, whose first list of nodes was made before one of them was lost."""

    def __init__(self, ray, first):
        self._ray, self._first = ray, [first]

    def nodes(self):
        return self._first.pop() if self._first else self._ray.nodes()

    def __getattr__(self, name):
        return getattr(self._ray, name)


@pytest.mark.cluster
def test_a_node_that_is_lost_while_it_is_asked_is_left_out(ray_cluster):
    import ray

    before = {one.id for one in nodes(ray)}
    lost = ray_cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray_cluster.wait_for_nodes()
    first = ray.nodes()
    assert {one["NodeID"] for one in first if one["Alive"]} == {*before, lost.node_id}
    ray_cluster.remove_node(lost, allow_graceful=False)
    assert {one.id for one in nodes(_Late(ray, first))} == before


KILL = """
import psutil
mark = Path({mark!r})
if not mark.exists() or {always}:
    mark.touch()
    # the cell's process, the fork server, the process that Ray started
    psutil.Process().parent().parent().kill()
    time.sleep(60)
"""


@pytest.mark.cluster
@pytest.mark.parametrize("always", [False, True])
def test_a_cell_whose_process_is_lost_runs_again_but_not_for_ever(
    ray_cluster, scripted, tmp_path, always
):
    code = KILL.format(mark=str(tmp_path / "mark"), always=always)
    executor = RayExecutor(Wanted())
    found = list(executor.run(scripted(executor.machine())(code)))
    again = [event.text for event in found if event.text.startswith("again (")]
    assert len(again) == (2 if always else 1)
    assert [event.kind for event in found if event.is_end] == ["failed" if always else "done"]
    if always:
        assert found[-1].text.endswith("its node or process was lost, 3 times")


@pytest.mark.cluster
def test_a_lost_driver_goes_on_where_it_was(ray_cluster, write_suite, tmp_path):
    suite, out = write_suite(MANY.replace("LATENCY", "0")), tmp_path / "out"
    command = [
        sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out),
        "--backend", "testing", "--executor", "ray", "--address", ray_cluster.address,
    ]  # fmt: skip
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(list(out.glob("cells/*/result.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}
    assert 2 <= len(done) < 7
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{len(done)} current" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert [cell.status for cell in load_run(out).cells] == ["ok"] * 7


def scores(run):
    return {
        (c.model, c.adapter, c.dataset, c.seed): [(v.metric, v.value) for v in c.values if v.n]
        for c in run.cells
    }


@pytest.mark.cluster
def test_the_scores_are_those_of_local(ray_cluster, write_suite, tmp_path):
    suite = write_suite(MANY.replace("LATENCY", "2"))
    for name, executor in (("ray", RayExecutor(Wanted())), ("local", LocalExecutor(2, 1))):
        plan = make_plan(suite, tmp_path / name, backend="testing", where=executor.site())
        assert run_suite(plan, executor, lambda _: None)["ok"] == 7
    runs = {name: load_run(tmp_path / name) for name in ("ray", "local")}
    assert scores(runs["ray"]) == scores(runs["local"])
    for here, there in zip(runs["local"].cells, runs["ray"].cells, strict=True):
        assert here.provenance.cell == there.provenance.cell
        assert here.stages == there.stages
        assert here.hardware == there.hardware


@pytest.mark.cluster
def test_a_node_with_the_named_accelerator_gets_the_cell(ray_cluster, write_suite, tmp_path):
    there = ray_cluster.add_node(
        num_cpus=1, num_gpus=1, resources={"accelerator_type:A100": 1},
        labels={"gpu-memory-gib": "80"}, object_store_memory=80 * 2**20,
    )  # fmt: skip
    try:
        ray_cluster.wait_for_nodes()
        text = MANY.replace("LATENCY", "0").replace("[0, 1, 2]", "[0]")
        card = "{name: named, like: tiny-qwen2, card: {requires: {accelerator: a100}}}"
        suite = write_suite(text.replace("[tiny-qwen2]", f"[{card}]"))
        executor = RayExecutor(Wanted())
        assert {m.gpu for m in executor.site().machines} == {None, "A100"}
        plan = make_plan(suite, tmp_path / "run", backend="testing", where=executor.site())
        assert run_suite(plan, executor, lambda _: None)["ok"] == 3
        none = make_plan(suite, tmp_path / "none", backend="testing")
        assert {d.reason for d in none.of("skip")} == {
            "named needs the GPU a100; this machine has none"
        }
    finally:
        ray_cluster.remove_node(there)


@pytest.mark.cluster
def test_without_a_cluster_the_message_says_how_to_name_one():
    code = (
        "from harness.run.executors.base import executor_of\n"
        "from harness.errors import HarnessError\n"
        "try: executor_of('ray', address='ray://127.0.0.1:1').machine()\n"
        "except HarnessError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the Ray cluster cannot be reached" in done.stdout, done
    assert "--address" in done.stdout
