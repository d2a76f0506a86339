"""A training over several devices: data-parallel, a process for each, started by the worker.

The processes are the worker's own children, rather than those of a launcher between them, so that
whoever stops, watches or ends a worker reaches them, and the worker sees which one died of what.
Without a GPU they talk through gloo, each with a part of the cores; so the tests run them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch

from harness.backends.base import TellStep, Training
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.training.rank import OUTCOME, SPEC, STEPS, failure_file
from harness.backends.hf.training.row_store import dataset_of
from harness.backends.hf.training.trained import Trained
from harness.counting import counted
from harness.errors import HarnessError, SkipCell
from harness.plan.cell import Cell, cell_record
from harness.plan.devices import DIED, devices_of, rows_a_step
from harness.results.paths import CellPaths, read_json, write_json
from harness.suite.options import training_value

LOOK = 0.1
"""Seconds between two looks at the processes and their log."""
GRACE = 3.0
"""Seconds for the other processes to say why they failed, once one has: the first is the cause."""


@dataclass
class Spread:
    """One training of ``cell`` in ``paths`` over several devices."""

    cell: Cell
    paths: CellPaths
    rows: TrainingRows
    paused: Callable[[float], float]
    """Seconds that this worker, and with it the processes, stood still since a time."""
    tell: TellStep | None = None
    """Gets each record of the log when it is there."""
    _told: int = field(init=False, default=0)
    """Bytes of the log of which `tell` has heard."""

    @property
    def folder(self) -> Path:
        """Where the processes find what to train, and leave what came of it."""
        return self.paths.checkpoints / "spread"

    def run(self) -> Training:
        """Train, and save the adapter.

        Raises:
            SkipCell: this worker was not given as many GPUs.
            HarnessError: a process was killed, or failed in a way that the user can mend.
            RuntimeError: a process failed.
        """
        count = devices_of(self.cell)
        variables = _devices(count, read_json(self.paths.cell))
        self._prepare(count)
        # as `torchrun` does it: the store lives here, on a port that the system chose, so that no
        # other training on this machine can take it in between
        store = torch.distributed.TCPStore(
            "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(minutes=10)
        )
        variables |= {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
            "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
            "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": self.cell.adapter,
        }  # fmt: skip
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(count):
                processes.append(self._start(rank, variables))
            self._wait(processes)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
        return self._training(count)

    def _prepare(self, count: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("*.json*"):  # of an attempt before this one
            old.unlink()
        threads = torch.get_num_threads()
        if not torch.cuda.is_available():  # there each process is a share of the same cores
            threads = max(1, threads // count)
        dataset_of(self.rows.rows).save_to_disk(str(self.folder / "rows"))
        spec = {
            "cell": cell_record(self.cell),
            "rows": str((self.folder / "rows").resolve()),
            "audit": self.rows.audit,
            "adapter": str(self.paths.adapter.resolve()),
            "threads": threads,
        }
        write_json(self.folder / SPEC, spec)

    def _start(self, rank: int, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
        return subprocess.Popen(
            [sys.executable, "-m", "harness.backends.hf.training.rank", str(self.folder)],
            stdin=subprocess.PIPE,  # it closes with this process: see `rank`
            env={**os.environ, **variables, **own},
        )

    def _wait(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Until every process has ended well.

        Raises:
            HarnessError: one was killed, or failed in a way that the user can mend.
            RuntimeError: one failed.
        """
        while True:
            codes = [process.poll() for process in processes]
            self._pass_on()
            if any(codes):
                raise self._cause(processes)
            if all(code == 0 for code in codes):
                return
            time.sleep(LOOK)

    def _pass_on(self) -> None:
        """Tell of the steps that rank 0 has logged since the last look."""
        place = self.folder / STEPS
        if self.tell is None or not place.is_file():
            return
        with place.open("rb") as file:
            file.seek(self._told)  # a log grows for hours, and is looked at ten times a second
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                self._told += len(line)
                self.tell(json.loads(line))

    def _cause(self, processes: Sequence[subprocess.Popen[bytes]]) -> Exception:
        """Why the training failed: a process that was killed, else the first that says so."""
        count, deadline = len(processes), time.monotonic() + GRACE
        # one that fails takes the others along within moments, and may itself be the last to end
        while time.monotonic() < deadline and None in [process.poll() for process in processes]:
            time.sleep(LOOK)
        for rank, process in enumerate(processes):
            code = process.poll()
            if code is not None and code < 0:
                name = signal.Signals(-code).name
                return HarnessError(f"{DIED}number {rank + 1} of {count} was killed by {name}")
        said = sorted(_failures(self.folder, count), key=lambda failure: failure.at)
        if not said:
            codes = ", ".join(str(process.poll()) for process in processes)
            return HarnessError(f"{DIED}exit codes {codes}; cell.log says more")
        return said[0].error(count)

    def _training(self, count: int) -> Training:
        found = read_json(self.folder / OUTCOME)
        trained = Trained(**found["trained"])
        seconds = trained.seconds - self.paused(trained.started)
        how = {
            "engine": "trl",
            "reason": f"trained on {counted(count, 'device')}; the harness's engine knows one",
            **_described(count, found["peaks"], self.cell, rows=self.rows.audit["rows"]),
        }
        facts = {**found["facts"], "steps": trained.steps, "training": how}
        numbers = {**found["numbers"], **trained.cost(facts, seconds)}
        log = [json.loads(line) for line in (self.folder / STEPS).read_text().splitlines()]
        return Training(numbers, {"trained": facts}, self.rows.audit, log, seconds, trained.step)


class Failure(NamedTuple):
    """What a process said when it failed."""

    rank: int
    kind: str
    text: str
    at: float

    def error(self, count: int) -> Exception:
        """The same in this process; a `SkipCell` stays one."""
        if self.kind == "SkipCell":
            return SkipCell(self.text)
        if self.kind == "HarnessError":
            return HarnessError(self.text)
        # a want of memory is known by these words: see `run/batch_size`
        lack = "out of memory: " if self.kind in ("MemoryError", "OutOfMemoryError") else ""
        place = f"process {self.rank + 1} of {count}"
        return RuntimeError(f"{place}: {lack}{self.kind}: {self.text}")


def _failures(folder: Path, count: int) -> Iterator[Failure]:
    for rank in range(count):
        with suppress(OSError, ValueError):
            said: dict[str, Any] = read_json(failure_file(folder, rank))
            yield Failure(rank, said["kind"], said["text"], said["at"])


def _devices(count: int, job: Mapping[str, Any]) -> dict[str, str]:
    """The variables by which the processes see their GPUs; none where there is no GPU.

    Raises:
        SkipCell: there are GPUs, but this worker was not given ``count`` of them.
    """
    if not torch.cuda.is_available():
        return {}
    ids = (job.get("device") or {}).get("ids", [])
    if len(ids) != count:
        given = len(ids) or 1
        raise SkipCell(f"trains on {count} GPUs (training.devices); it was given {given} here")
    return {"CUDA_VISIBLE_DEVICES": ",".join(ids)}


def _described(
    count: int, peaks: Sequence[Mapping[str, float]], cell: Cell, *, rows: int
) -> dict[str, object]:
    """How many devices trained, the peak of each, and from how many rows a step learned."""
    size = int(training_value(cell.training, "per_device_train_batch_size"))
    on = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        "devices": count,
        "on": on,
        "rows_a_step": rows_a_step(cell),
        "rows_repeated_an_epoch": rows_repeated(rows, count * size),
        "peaks_mib": [_first(values) for values in peaks],
    }


def rows_repeated(rows: int, batch: int) -> int:
    """How many of ``rows`` are learned twice in an epoch of rounds of ``batch`` rows.

    accelerate fills the last round with rows of the epoch's beginning, so that every process has as
    many batches, each of the same size.
    """
    return -rows % batch


def _first(values: Mapping[str, float]) -> float | None:
    """The peak of a device: what tensors held on a GPU, the resident set of a process."""
    for name in ("train_peak_vram_mib", "train_peak_rss_mib"):
        if name in values:
            return round(values[name], 1)
    return None
