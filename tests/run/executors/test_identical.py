"""A suite gives the same answers and scores wherever it runs: a small one, and `suites/ci.yaml`."""

import pytest

from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.executors.base import executor_of
from harness.run.runner import run_suite

WAYS = {
    "local": {},
    "in_process": {},
    "ray": {},
    "slurm": {"address": "local"},
}

SMALL = """\
name: small
matrix:
  model: [tiny-qwen2]
  quantization: [none, nf4]
  adapter: [{name: lora, config: {r: 4, target_modules: all-linear}}]
  dataset: [{name: ru-calculations, rows: 60, train: 16, test: 6}]
training: {per_device_train_batch_size: 8, max_length: 256, learning_rate: 5e-3}
evaluation: {batch_size: 6, latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 12}
"""
"""Four cells that are trained and answered in seconds."""


def answers(folder):
    """Cell → its answers and its scores; what is measured of speed and memory is not among them."""
    run = load_run(folder)
    assert {cell.status for cell in run.cells} == {"ok"}, [cell.reason for cell in run.cells]
    return {
        cell.key: (
            [(r["id"], r["prediction"]) for r in run.predictions(cell)],
            [(v.metric, v.category, v.value) for v in cell.values if v.n],
        )
        for cell in run.cells
    }


@pytest.fixture(scope="module", params=["small", "ci"])
def suite(request, root, tmp_path_factory):
    if request.param == "ci":
        return root / "suites" / "ci.yaml"
    folder = tmp_path_factory.mktemp("small")
    (folder / "models").symlink_to(root / "models")
    (folder / "suite.yaml").write_text(SMALL)
    return folder / "suite.yaml"


@pytest.fixture(scope="module")
def here(suite, tmp_path_factory):
    """What one worker of this machine gives: one thread, as a cell of a cluster has."""
    folder = tmp_path_factory.mktemp("local")
    plan = make_plan(suite, folder / "run")
    assert run_suite(plan, executor_of("local"), lambda _: None)["failed"] == 0
    return answers(folder / "run")


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WAYS if name != "local"])
def test_every_executor_gives_the_answers_of_local(name, here, suite, tmp_path, request):
    if name == "ray":
        request.getfixturevalue("ray_cluster")
    executor = executor_of(name, **WAYS[name])
    plan = make_plan(suite, tmp_path / "run", where=executor.site())
    assert run_suite(plan, executor, lambda _: None)["failed"] == 0
    assert answers(tmp_path / "run") == here
