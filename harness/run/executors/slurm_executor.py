"""Cells as jobs of a Slurm cluster, submitted as arrays by submitit.

Login node and compute nodes share the run directory, as submitit's own files must be shared: so a
cell runs in its folder there. A cell gets a card to itself, or its processors; one that measures on
processors gets the node to itself. Partition, account and time limit are sbatch's own environment
variables (`SBATCH_PARTITION`, `SBATCH_ACCOUNT`, `SBATCH_TIMELIMIT`).
"""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.extras import need
from harness.plan.cell import cell_of_record
from harness.plan.machine import Machine, Site, machine
from harness.plugins import load_plugins
from harness.results.paths import CellPaths, read_json, write_json
from harness.run.executors.base import Event, Job, Wanted
from harness.run.executors.cards import CORES_PER_CELL
from harness.run.executors.hosted import Allowed, host, surroundings
from harness.run.executors.limits import Limits
from harness.user_path import expanded

ATTEMPTS = 3
"""Jobs that a cell may lose before it counts as failed."""
ARRAY = 1000
"""Cells of one array: Slurm's default `MaxArraySize` is 1001."""
MINUTES = 24 * 60
"""Time limit of a job, unless `SBATCH_TIMELIMIT` sets another."""
POLL = {"slurm": 5.0, "local": 0.1}
"""Seconds between two looks at the jobs; submitit asks Slurm itself less often."""
LOCAL = "local"
"""The address that runs the jobs as processes of this machine: for trying it out."""


@dataclass
class _Task:
    job: Job
    attempts: int = 0


class SlurmExecutor:
    """Runs cells on the Slurm cluster of this login node; at the address `local` on it."""

    def __init__(self, wanted: Wanted) -> None:
        if wanted.address not in (None, LOCAL):
            hint = "Leave it out on a login node; `local` runs the jobs on this machine."
            raise HarnessError(f"--address {wanted.address}: no cluster of slurm", hint=hint)
        self._cluster = wanted.address or "slurm"
        self._workers = wanted.workers
        self._limits = Limits(wanted.cell_timeout, wanted.retry or 0)

    @cached_property
    def _submitit(self) -> Any:
        need("the executor slurm", "submitit")
        import submitit

        return submitit

    @cached_property
    def _has_gpus(self) -> bool:
        """Whether the partition has GPUs: then each cell asks for one."""
        if self._cluster == LOCAL:
            return machine().gpu is not None
        partition = os.environ.get("SBATCH_PARTITION")
        command = ["sinfo", "-h", "-o", "%G", *(["-p", partition] if partition else [])]
        try:
            found = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            hint = "Run it on a login node of the cluster; --address local tries it out here."
            raise HarnessError(f"Slurm does not answer: sinfo: {error}", hint=hint) from None
        return "gpu" in found

    @cached_property
    def _node(self) -> Machine:
        """A compute node as it sees itself; the login node is another machine."""
        if self._cluster == LOCAL:
            return machine()
        folder = expanded("~") / ".cache" / "finetune-harness" / "slurm"
        job = self._made(folder, needs_gib=None, alone=False).submit(_look)
        try:
            found: Machine = job.result()
        except Exception as error:  # submitit raises its own, and whatever the job raised
            what = f"no compute node answered: {type(error).__name__}: {error}"
            raise HarnessError(what.splitlines()[0], where=str(job.paths.stderr)) from None
        return found

    def machine(self) -> Machine:
        """A compute node."""
        return self._node

    def site(self) -> Site:
        """The compute node that answered, for all of the partition."""
        return Site((self._node,), is_here=self._cluster == LOCAL)

    def at_once(self) -> int:
        """The workers asked for; Slurm decides how many of the jobs run."""
        return self._workers or (machine().cores if self._cluster == LOCAL else ARRAY)

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs``; the stages of a cell come together, when it has ended."""
        queue, running = deque(_Task(job) for job in jobs), dict[Any, _Task]()
        try:
            while queue or running:
                room = self.at_once() - len(running)
                running |= self._submitted([queue.popleft() for _ in range(min(room, len(queue)))])
                ended = [job for job in running if job.done()]
                for job in ended:
                    task = running.pop(job)
                    events = self._events(job, task)
                    yield from events
                    if not events[-1].is_end:
                        queue.appendleft(task)
                if not ended:
                    time.sleep(POLL[self._cluster])
        finally:
            for job in running:
                job.cancel(check=False)
            for job in running:
                _wait_for(job)

    def _submitted(self, tasks: Sequence[_Task]) -> dict[Any, _Task]:
        """The tasks' jobs: one array for each kind of need."""
        kinds = defaultdict(list)
        for task in tasks:
            job = read_json(task.job[1].cell)
            needs = job["needs_gib"]
            rounded = None if needs is None else math.ceil(needs)
            kinds[rounded, cell_of_record(job["cell"]).is_measured].append(task)
        submitted: dict[Any, _Task] = {}
        for (needs, alone), members in kinds.items():
            folder = members[0].job[1].directory.parents[1] / "slurm"
            executor = self._made(folder, needs_gib=needs, alone=alone)
            with executor.batch():
                allowed = Allowed(CORES_PER_CELL if self._has_gpus else 1, limits=self._limits)
                made = [executor.submit(_run_in_place, *task.job, allowed) for task in members]
            submitted |= dict(zip(made, members, strict=True))
        return submitted

    def _made(self, folder: Path, *, needs_gib: float | None, alone: bool) -> Any:
        executor = self._submitit.AutoExecutor(folder=folder, cluster=self._cluster)
        options: dict[str, Any] = {"timeout_min": MINUTES, "name": "harness"}
        if self._cluster != LOCAL:
            options |= {"slurm_array_parallelism": min(self.at_once(), ARRAY)}
            options |= {"cpus_per_task": CORES_PER_CELL if self._has_gpus else 1}
            if needs_gib is not None:
                options["mem_gb"] = needs_gib
            if self._has_gpus:
                options["gpus_per_node"] = 1
            elif alone:
                options["slurm_exclusive"] = True
        executor.update_parameters(**options)
        return executor

    def _events(self, job: Any, task: _Task) -> list[Event]:
        """The events of a job that has ended; a stage last where it is to run again."""
        key, paths = task.job
        try:
            events: list[Event] = job.result()
        except self._submitit.core.utils.FailedJobError as error:  # our code failed there
            paths.log.write_text(str(error), encoding="utf-8")
            return [Event(key, "failed", f"on its node: {str(error).strip().splitlines()[-1]}")]
        except self._submitit.core.utils.UncompletedJobError as error:
            task.attempts += 1
            if task.attempts < ATTEMPTS:
                return [Event(key, "stage", "again (its job was lost)")]
            paths.log.write_text(str(error), encoding="utf-8")
            return [Event(key, "failed", f"its job was lost, {ATTEMPTS} times: {job.job_id}")]
        return events


def _run_in_place(key: str, paths: CellPaths, allowed: Allowed) -> list[Event]:
    """Run the cell ``key`` in its own folder, on the node where this is called."""
    load_plugins()
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    job = read_json(paths.cell)
    write_json(paths.cell, {**job, **surroundings(job, [d for d in given.split(",") if d])})
    return host(key, paths, lambda stage: None, allowed)


def _look() -> Machine:
    machine.cache_clear()
    return machine()


def _wait_for(job: Any, patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not job.done() and time.monotonic() < deadline:
        time.sleep(0.05)
