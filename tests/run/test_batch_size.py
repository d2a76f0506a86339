"""Out of memory in training: a smaller batch where the suite allows it, and never in silence."""

import signal
from dataclasses import replace

import pytest
from scripted import PLUGIN, scripted_suite

from harness.plan.expand import expand
from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.paths import CellPaths
from harness.results.result import load_result
from harness.run.batch_size import _halved, batches_of
from harness.run.executors.limits import Limits
from harness.run.executors.local import LocalExecutor
from harness.run.executors.lost import died, prepare_next
from harness.run.executors.oom import OomKills
from harness.run.runner import run_suite
from harness.suite.loading import load_suite

FULL = """\
half = paths.smaller_batch
rows = 6 >> (json.loads(half.read_text())["halvings"] if half.exists() else 0)
if rows > FITS:
    raise ERROR
"""
ERRORS = {
    "host": "MemoryError()",
    "card": 'type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate")',
    "allocator": 'RuntimeError("[enforce fail] DefaultCPUAllocator: can\'t allocate memory: 12345")',
}
TRAINING = "training: {per_device_train_batch_size: 6, gradient_accumulation_steps: 2ALLOWED}\n"


@pytest.fixture
def run(write_suite, install_plugin, tmp_path):
    install_plugin("scripted_memory", PLUGIN)
    load_plugins()

    def run(scripts, *, allowed=True, retry=1):
        suite = scripted_suite(write_suite, scripts)
        keys = TRAINING.replace("ALLOWED", ", auto_find_batch_size: true" if allowed else "")
        suite.write_text(suite.read_text() + keys)
        plan, events = make_plan(suite, tmp_path / "out", backend="scripted_memory"), []
        run_suite(plan, LocalExecutor(1, 1, limits=Limits(retry=retry)), events.append)
        found = {d.cell.adapter: load_result(plan.run.cell(d.key).result) for d in plan.decisions}
        left = [d.key for d in plan.decisions if plan.run.cell(d.key).smaller_batch.exists()]
        return found, [event.text for event in events if event.text.startswith("again")], left

    return run


def script(error, fits=3):
    return {"train": FULL.replace("FITS", str(fits)).replace("ERROR", ERRORS[error])}


def test_the_next_attempt_trains_in_smaller_batches_and_says_so(run):
    found, again, left = run({name: script(name) for name in ERRORS})
    assert len(again) == len(ERRORS)
    for name in ERRORS:
        cell = found[name]
        assert cell.status == "ok", cell.reason
        batch = cell.facts["batch"]
        assert batch["per_device_train_batch_size"] == 3
        assert batch["gradient_accumulation_steps"] == 4
        (said,) = [w for w in cell.audit.warnings if "memory ran out" in w]
        assert "batches of 6 rows; trained with batches of 3, of which 4 make a step" in said
    assert left == []


def test_it_goes_on_until_it_fits_or_attempts_run_out(run):
    found, again, left = run({"a": script("host", fits=1), "b": script("card", fits=0)}, retry=2)
    assert found["a"].facts["batch"]["per_device_train_batch_size"] == 1
    assert found["a"].facts["batch"]["gradient_accumulation_steps"] == 12
    assert "OutOfMemoryError" in found["b"].reason  # a batch of one has no smaller one
    assert len(again) == 4
    assert len(left) == 1


@pytest.mark.parametrize(
    ("allowed", "retry", "said"),
    [(False, 1, "MemoryError"), (True, 0, "batches of 6 rows; a smaller batch may fit")],
)
def test_without_leave_nothing_is_changed(run, allowed, retry, said):
    found, again, _ = run({"a": script("host")}, allowed=allowed, retry=retry)
    assert found["a"].status == "failed"
    assert said in found["a"].reason
    assert again == []


@pytest.mark.parametrize(
    ("whole", "times", "size"), [(8, 1, 4), (8, 3, 1), (8, 9, 1), (6, 1, 3), (5, 1, 1), (12, 2, 3)]
)
def test_a_smaller_batch_divides_the_whole_one(whole, times, size):
    assert _halved(whole, times) == size


@pytest.mark.parametrize(("allowed", "size"), [(True, 4), (False, 8)])
def test_a_worker_that_the_kernel_killed_gets_a_smaller_batch_too(
    write_suite, tmp_path, monkeypatch, allowed, size
):
    monkeypatch.setattr(
        "harness.run.executors.lost.oom_kills", lambda: OomKills(own=1)
    )  # a counter of the kernel
    reason = died(-signal.SIGKILL, oom_before=OomKills(own=0))
    paths = CellPaths(tmp_path)
    prepare_next(paths, reason)
    path = write_suite()
    cell = next(c for c in expand(load_suite(path), path) if not c.is_baseline)
    cell = replace(cell, training={**cell.training, "auto_find_batch_size": allowed})
    found = batches_of(cell, paths)
    assert found.cell.training["per_device_train_batch_size"] == size
    assert bool(found.facts) is allowed
    prepare_next(paths, "the worker died: exit code 1")  # which says nothing of memory
    assert batches_of(cell, paths) == found
