"""The fork server imports torch for cells that need it, and only for them."""

import subprocess
import sys

import pytest

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {noise_examples: 0}
"""
RUN = """
import sys
from pathlib import Path
import psutil
from multiprocessing import forkserver
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

def held(kind):
    out = Path(sys.argv[2]) / f"{kind}{len(seen)}"
    run_here(make_plan(Path(sys.argv[1]), out, backend=kind), workers=1)
    server = psutil.Process(forkserver._forkserver._forkserver_pid)
    libraries = any("libtorch" in mapped.path for mapped in server.memory_maps())
    seen.append((load_run(out).cells[0].status, libraries, server.pid))

seen = []
for kind in sys.argv[3:]:
    held(kind)
print([(status, libraries) for status, libraries, _ in seen], len({pid for *_, pid in seen}))
"""
SERVERS = {
    ("testing", "testing"): "[('ok', False), ('ok', False)] 1",
    ("testing", "hf", "testing"): "[('ok', False), ('ok', True), ('ok', True)] 2",
}
"""Backends of the runs of one process, in order → whether each run's server has torch; servers."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("backends", SERVERS, ids="-".join)
def test_a_server_has_what_its_cells_need_and_one_with_torch_is_kept(
    write_suite, tmp_path, backends
):
    command = [sys.executable, "-c", RUN, str(write_suite(SUITE)), str(tmp_path), *backends]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == SERVERS[backends], done.stderr
    assert done.stderr == ""


WORK = """
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from harness.plan.plan import make_plan
from harness.run.executors import child, light
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite

def answer():
    while True:
        if ours.recv()[0] == "pauses":
            ours.send([])

out = Path(sys.argv[2])
plan = make_plan(Path(sys.argv[1]), out / "run", backend="testing")
run_suite(plan, InProcessExecutor(), lambda _: None)
paths = plan.run.cell(plan.decisions[0].key)
paths.result.unlink()
ours, theirs = Pipe()
threading.Thread(target=answer, daemon=True).start()
outcome = child._outcome(paths, theirs, 1)
found = [name for name in ("torch", "transformers", "peft", "trl") if name in sys.modules]
(out / "found").write_text(f"{outcome[0]} {found}")
"""


def test_a_worker_loads_no_training_library_for_a_cell_that_needs_none(write_suite, tmp_path):
    command = [sys.executable, "-c", WORK, str(write_suite(SUITE)), str(tmp_path)]
    subprocess.run(command, check=True, timeout=300)
    assert (tmp_path / "found").read_text() == "done []"


LATE = """
import sys
from harness.run.executors import warm
before = set(sys.modules)
import harness.backends.hf.backend
late = sorted(set(sys.modules) - before)
sys.exit(f"{len(late)} modules, {late[:5]}, {warm.MISSED}" if late or warm.MISSED else 0)
"""


def test_a_server_with_torch_has_the_whole_backend():
    """Each cell imported it anew: a second of processor time, a thousand modules."""
    # the server closes its own output, so the exit status alone says what is late
    assert subprocess.run([sys.executable, "-c", LATE], check=False, timeout=300).returncode == 0


UNUSED = """
import gc
import sys
from harness.run.executors import warm
late = ("torch._inductor.compile_fx", "trl.trainer.sft_trainer", "wandb")
found = [name for name in late if name in sys.modules]
# what the collector would walk in each worker: all that the libraries made is left out of it
sys.exit(f"{found}" if found or not gc.isenabled() or len(gc.get_objects()) > 10_000 else 0)
"""


def test_a_server_has_no_compiler_and_no_trainer_and_collects_again():
    """bitsandbytes asks for TorchInductor when it is imported, an eighth of the server's start.

    TRL's trainer asks for Weights & Biases.
    """
    assert subprocess.run([sys.executable, "-c", UNUSED], check=False, timeout=300).returncode == 0


LEAKS = """
import sys
from multiprocessing import resource_tracker
if sys.argv[1] == "quiet":
    from harness.run.executors.fork_server import fork_server_for
    fork_server_for([])
resource_tracker.register("/held-by-one-that-was-killed", "semaphore")
"""


@pytest.mark.parametrize("how", ["quiet", "as Python has it"])
def test_what_killed_workers_held_is_removed_without_a_warning(how):
    done = subprocess.run(
        [sys.executable, "-c", LEAKS, how], capture_output=True, text=True, timeout=60, check=True
    )
    assert ("leaked semaphore" in done.stderr) == (how != "quiet")
