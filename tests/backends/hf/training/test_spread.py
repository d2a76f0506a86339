"""A training over two devices is that of one with batches of twice the size; two processes, gloo.

One case runs always, the others by ``tox -e training``.
"""

import time
from contextlib import suppress
from itertools import product

import psutil
import pytest
from accelerate.data_loader import BatchSamplerShard
from safetensors.torch import load_file
from torch.utils.data import BatchSampler

from harness.backends.base import Alone
from harness.backends.hf.backend import open_backend
from harness.backends.hf.training.rank import STEPS
from harness.backends.hf.training.spread import Failure, Spread, rows_repeated
from harness.datasets.splits import load_splits
from harness.errors import HarnessError, SkipCell
from harness.plan.cell import cell_record
from harness.plan.expand import expand
from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.paths import CellPaths, write_json
from harness.results.run import load_run
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite
from harness.suite.loading import load_suite

LORA = "config: {r: 4, lora_alpha: 8, target_modules: all-linear}"
LONGER = "gradient_accumulation_steps: 2, num_train_epochs: 2, warmup_steps: 1"
CASES = {
    "lora": ("none", LORA, "ru-calculations", ""),
    "lora, 4 bits, checkpointing": (
        "nf4", LORA, "ru-calculations", f"gradient_checkpointing: true, {LONGER}"
    ),
    "lora, checkpointing": ("none", LORA, "ru-calculations", f"gradient_checkpointing: true, {LONGER}"),
    "lora+, sequential, cosine": (
        "none", LORA, "ru-calculations",
        f"loraplus_lr_ratio: 4.0, train_sampling_strategy: sequential, lr_scheduler_type: cosine, {LONGER}",
    ),
    "full": ("none", "peft_type: full", "ru-calculations", LONGER),
    "labels by a head": ("none", LORA, "finance-labels, classify_by: head", LONGER),
    "labels by a head, all weights": (
        "none", "peft_type: full", "finance-labels, classify_by: head", LONGER
    ),
    "labels by a head, 4 bits": ("nf4", LORA, "finance-labels, classify_by: head", ""),
    "labels as answers": ("none", LORA, "finance-labels, classify_by: likelihood", LONGER),
}  # fmt: skip
SUITE = """\
name: spread
matrix:
  model: [tiny-qwen2]
  quantization: [{quantization}]
  adapter:
    - {{name: one, {adapter}, training: {{per_device_train_batch_size: 8, engine: trl}}}}
    - {{name: two, {adapter}, training: {{per_device_train_batch_size: 4, devices: 2}}}}
  dataset: [{{name: {dataset}, train: 16, test: 8}}]
training: {{learning_rate: 5e-3, max_length: 128, {options}}}
"""


def cells_of(path):
    return {cell.adapter: cell for cell in expand(load_suite(path), path)}


def trained(cell, folder):
    """The training of ``cell`` in ``folder``, and the weights that it saved."""
    folder.mkdir()
    paths = CellPaths(folder)
    write_json(paths.cell, {"cell": cell_record(cell)})
    told = []
    backend = open_backend(cell, paths, Alone())
    backend.report_steps(lambda record: told.append(dict(record)))
    rows = load_splits(cell.dataset, folder).train
    training = backend.fine_tune(rows, lambda audit: None)
    assert told == training.log
    (weights,) = paths.adapter.glob("*.safetensors")
    return training, load_file(weights)


@pytest.mark.parametrize(
    "name", ["lora", *(pytest.param(n, marks=pytest.mark.training) for n in CASES if n != "lora")]
)
def test_two_processes_train_as_one_with_batches_of_twice_the_size(write_suite, tmp_path, name):
    quantization, adapter, dataset, options = CASES[name]
    text = SUITE.format(
        quantization=quantization, adapter=adapter, dataset=dataset, options=options
    )
    cells = cells_of(write_suite(text))
    (one, alone), (two, spread) = (trained(cells[n], tmp_path / n) for n in ("one", "two"))
    assert [r["step"] for r in two.log] == [r["step"] for r in one.log]
    for column in ("loss", "grad_norm", "learning_rate"):
        expected = [record[column] for record in one.log]
        assert [record[column] for record in two.log] == pytest.approx(expected, rel=1e-4), column
    assert spread.keys() == alone.keys()
    apart = sum(float((spread[n].float() - alone[n].float()).norm() ** 2) for n in alone) ** 0.5
    whole = sum(float(weight.float().norm() ** 2) for weight in alone.values()) ** 0.5
    assert apart <= 1e-4 * whole
    said = two.facts["trained"]["training"]
    accumulated = 2 if options else 1
    assert (said["devices"], said["rows_a_step"]) == (2, 8 * accumulated)
    assert (len(said["peaks_mib"]), said["rows_repeated_an_epoch"]) == (2, 0)
    assert two.numbers.keys() == one.numbers.keys()
    assert two.numbers["trainable_params"] == one.numbers["trainable_params"]


DIES = """\
import os, signal, sys, time
from pathlib import Path
import psutil

if os.environ.get("RANK") == "1":
    cell = Path(sys.argv[1]).parents[1]
    both = [psutil.Process(), psutil.Process(os.getppid())]
    found = "\\n".join(f"{one.pid} {one.create_time()}" for one in both)
    (Path(__file__).parent / f"{cell.name}.pids").write_text(found)
    if "orphaned" in cell.name:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def dying(write_suite, install_plugin):
    """A suite of which the second process of a training dies, as its cell's name says."""

    def write(*adapters):
        install_plugin("dies_in_training", DIES)
        load_plugins()
        both = "devices: 2, per_device_train_batch_size: 4"
        lines = "".join(f"    - {{name: {n}, {LORA}, training: {{{both}}}}}\n" for n in adapters)
        text = SUITE.format(
            quantization="none", adapter=LORA, dataset="ru-calculations", options=""
        )
        start = text.index("    - {name: one")
        return write_suite(text[:start] + lines + text[text.index("  dataset:") :])

    return write


def test_a_process_that_is_killed_ends_the_training_with_its_cause(dying, tmp_path):
    cell = cells_of(dying("killed"))["killed"]
    with pytest.raises(HarnessError, match="training died: number 2 of 2 was killed by SIGKILL"):
        trained(cell, tmp_path / "killed")
    assert not [p for p in psutil.Process().children() if "training.rank" in " ".join(p.cmdline())]
    assert not (tmp_path / "killed" / "adapter").exists()


@pytest.mark.reliability
def test_no_process_outlives_its_worker(dying, tmp_path):
    plan = make_plan(dying("orphaned"), tmp_path / "out")
    run_suite(plan, LocalExecutor(2, 1), lambda event: None)
    reasons = {cell.adapter: cell.reason for cell in load_run(tmp_path / "out").cells}
    # that a signal killed it is certain; whether the kernel did, is told by a counter of the whole
    # machine, which other processes move on a busy one
    assert "the worker died: killed by" in reasons["orphaned"]
    (pids,) = (tmp_path / "site").glob("*.pids")
    both = [line.split() for line in pids.read_text().splitlines()]
    deadline = time.monotonic() + 240  # a busy machine must not fail it
    while time.monotonic() < deadline and (any(map(_is_there, both)) or _ranks(tmp_path)):
        time.sleep(0.1)
    assert [_is_there(one) for one in both] == [False, False]
    assert not _ranks(tmp_path)


def _is_there(noted):
    """Whether the process is there that was noted, and not another one of its number."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(noted[0])).create_time() == float(noted[1])
    return False


def _ranks(folder):
    """The processes that train in ``folder``."""
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if line[-1:] and line[-1].startswith(str(folder))]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("SkipCell", (SkipCell, "why")),
        ("HarnessError", (HarnessError, "why")),
        ("FloatingPointError", (RuntimeError, "process 2 of 2: FloatingPointError: why")),
        (
            "OutOfMemoryError",
            (RuntimeError, "process 2 of 2: out of memory: OutOfMemoryError: why"),
        ),
        ("MemoryError", (RuntimeError, "process 2 of 2: out of memory: MemoryError: why")),
    ],
)
def test_what_a_process_says_is_what_its_cell_says(kind, expected):
    error = Failure(rank=1, kind=kind, text="why", at=1.0).error(count=2)
    assert (type(error), str(error)) == expected


@pytest.mark.parametrize(
    ("rows", "size", "devices"), list(product((1, 8, 9, 15, 16), (1, 4), (2, 3)))
)
def test_rows_that_accelerate_repeats_are_counted(rows, size, devices):
    batches = BatchSampler(range(rows), size, drop_last=False)
    dealt = [
        row
        for rank in range(devices)
        for batch in BatchSamplerShard(batches, devices, rank)
        for row in batch
    ]
    assert len(dealt) - rows == rows_repeated(rows, size * devices)


def test_a_record_of_the_log_is_told_once_and_not_before_it_is_whole(tmp_path):
    told = []
    spread = Spread(None, CellPaths(tmp_path), None, lambda _: 0.0, told.append)
    spread.folder.mkdir(parents=True)
    with (spread.folder / STEPS).open("w", encoding="utf-8") as file:
        for text, wanted in (
            ('{"step": 1}\n{"st', [1]),
            ('ep": 2}', [1]),
            ("\n", [1, 2]),
            ("", [1, 2]),
        ):
            file.write(text)
            file.flush()
            spread._pass_on()
            assert [record["step"] for record in told] == wanted
