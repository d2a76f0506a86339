"""Cells as tasks of a Ray cluster: each asks for the card and the memory that it should need.

A cell that measures its speed gets whole what it is measured on: a card, or all processors of a
node. Others share a card by their estimate. When a node, or the process on it, is lost, its cells
run elsewhere; what has ended is in the driver's run directory already.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.errors import HarnessError
from harness.plan.available import machine_reason
from harness.plan.cell import Cell, cell_of_record
from harness.plan.devices import cards_of
from harness.plan.machine import Machine, Site
from harness.run.executors.base import Event, Job, Wanted
from harness.run.executors.cards import CORES_PER_CELL, MOST_ON_A_CARD, SHARE
from harness.run.executors.hosted import Allowed
from harness.run.executors.limits import Limits
from harness.run.executors.parcel import Parcel, accept_delivery, asset_bytes, parcel_of
from harness.run.executors.ray_cluster import GIB, Node, connected, nodes
from harness.run.executors.ray_tasks import News, run_parcel

ATTEMPTS = 3
"""Nodes that a cell may lose before it counts as failed: one that kills its node would go on."""
AHEAD = 64
"""Tasks beyond those that can run now: enough that no node waits and an autoscaler sees the need,
few enough that the driver's memory stays flat."""
POLL = 0.25
"""Seconds between two looks for news of stages."""
PATIENCE = 10.0
"""Seconds for the cluster to answer what stages its cells are in."""
CANCEL_SECONDS = 3.0
"""For a cancelled cell to end before its process is killed: less than the five seconds that a
command has after Ctrl-C, or those that did not end would never be killed by us."""


@dataclass
class _Task:
    job: Job
    parcel: Parcel
    attempts: int = 0
    told: int = 0
    """Stages of this attempt that were passed on."""


class RayExecutor:
    """Runs cells on the cluster at ``address``; None starts Ray on this machine."""

    def __init__(self, wanted: Wanted) -> None:
        self._workers = wanted.workers
        self._address = wanted.address
        self._limits = Limits(wanted.cell_timeout, wanted.retry or 0)
        self._assets: dict[str, Any] = {}
        self._running: dict[Any, _Task] = {}
        self._queue: deque[_Task | Job] = deque()

    @cached_property
    def _ray(self) -> Any:
        return connected(self._address)

    @cached_property
    def _function(self) -> Any:
        """What a node runs. Made once: each new one is sent anew, and gets processes of its own."""
        # lost nodes are counted here: Ray's own retries neither say so nor end for lack of memory
        return self._ray.remote(max_retries=0)(run_parcel)

    @cached_property
    def _nodes(self) -> list[Node]:
        found = nodes(self._ray)
        if not found:
            raise HarnessError("the Ray cluster has no node that runs cells", hint="`ray status`")
        return sorted(found, key=lambda node: (-node.machine.gpu_memory_gib, -node.cpus, node.id))

    def machine(self) -> Machine:
        """The node with the largest card, or with most processors."""
        return self._nodes[0].machine

    def site(self) -> Site:
        """Every kind of node."""
        machines = tuple(dict.fromkeys(node.machine for node in self._nodes))
        most = max(int(node.gpus) for node in self._nodes)
        return Site(machines, is_here=False, gpus=most)

    def at_once(self) -> int:
        """Cells that run side by side if each takes one processor or one card."""
        slots = sum(node.gpus or node.cpus for node in self._nodes)
        return self._workers or max(1, int(slots))

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """The events of ``jobs`` as they happen."""
        if not jobs:
            return
        self._queue = deque(jobs)
        most = self._workers or self.at_once() * MOST_ON_A_CARD + AHEAD
        news = self._ray.remote(num_cpus=0)(News).remote()
        try:
            while self._queue or self._running:
                while self._queue and len(self._running) < most:
                    self._submit(self._queue.popleft(), news)
                # one by one: each result is a cell's whole folder
                ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=POLL)
                for ref in ready:
                    yield from self._ended(ref)
                if not ready:
                    yield from self._heard(news)
        finally:
            self._end_all()
            with suppress(Exception):  # the cluster itself may be what was lost
                self._ray.kill(news)

    def _submit(self, waiting: _Task | Job, news: Any) -> None:
        task = waiting if isinstance(waiting, _Task) else None
        if task is None:
            assert isinstance(waiting, tuple)
            task = _Task(waiting, parcel_of(*waiting))
        job = task.parcel.job
        cell = cell_of_record(job["cell"])
        needs = self._needs(cell, job["needs_gib"], on_card=job["takes_gib"])
        for path, digest in task.parcel.assets:
            if digest not in self._assets:
                self._assets[digest] = self._ray.put(asset_bytes(path))
        assets = {digest: self._assets[digest] for _, digest in task.parcel.assets}
        remote = self._function.options(**needs.options)
        ref = remote.remote(task.parcel, assets, news, replace(needs.allowed, limits=self._limits))
        self._running[ref] = task

    def _heard(self, news: Any) -> Iterator[Event]:
        try:
            lines = self._ray.get(news.since.remote(), timeout=PATIENCE)
        except Exception:  # its node may be the lost one; stages are told again at each end
            return
        by_key = {task.parcel.key: task for task in self._running.values()}
        for key, stage in lines:
            if key in by_key:
                by_key[key].told += 1
                yield Event(key, "stage", stage)

    def _ended(self, ref: Any) -> Iterator[Event]:
        from ray.exceptions import RayError, RayTaskError

        task = self._running.pop(ref)
        key, paths = task.job
        try:
            delivery = self._ray.get(ref)
        except RayTaskError as error:  # our code failed on the node, not the node
            text = str(error.cause if hasattr(error, "cause") else error).strip()
            paths.log.write_text(str(error), encoding="utf-8")
            yield Event(key, "failed", f"on its node: {(text or repr(error)).splitlines()[-1]}")
        except RayError as error:
            task.attempts, task.told = task.attempts + 1, 0
            lost = f"{type(error).__name__}: its node or process was lost"
            if task.attempts < ATTEMPTS:
                self._queue.appendleft(task)
                yield Event(key, "stage", f"again ({lost})")
            else:
                yield Event(key, "failed", f"{lost}, {ATTEMPTS} times")
        else:
            accept_delivery(task.parcel, delivery.folder, paths)
            yield from (Event(key, "stage", stage) for stage in delivery.stages[task.told :])
            yield Event(key, delivery.kind, delivery.text)

    def _needs(
        self, cell: Cell, needs_gib: float | None, *, on_card: float | None = None
    ) -> _Needs:
        """What the cell asks of a node; ``on_card``: of a card, where that is more."""
        fitting = [node for node in self._nodes if machine_reason(cell, node.machine) is None]
        cards = [node for node in fitting if node.gpus >= cards_of(cell)]
        # as on one machine: where there are cards, cells run on them
        found = (
            _on_a_card(cell, cards, on_card or needs_gib)
            if cards
            else _on_processors(cell, fitting)
        )
        if needs_gib is not None:
            found.options["memory"] = int(needs_gib * GIB)
        kinds = {node.accelerator for node in cards}
        if cell.model.requires.accelerator not in ("none", "cuda") and len(kinds) == 1:
            kind = kinds.pop()
            if kind is not None:  # a name that an autoscaler understands
                found.options["resources"] = {kind: 0.001}
        others = {node.id for node in self._nodes if node.gpus >= 1} - {node.id for node in cards}
        if others and cards:
            names = ", ".join(node.id for node in cards)
            found.options["label_selector"] = {"ray.io/node-id": f"in({names})"}
        return found

    def _end_all(self) -> None:
        """Cancel what runs: first so that a cell's process is ended, then by force."""
        running, self._running = list(self._running), {}
        for ref in running:
            self._ray.cancel(ref)
        deadline = time.monotonic() + CANCEL_SECONDS
        while running and time.monotonic() < deadline:
            _, running = self._ray.wait(running, num_returns=len(running), timeout=POLL)
        for ref in running:
            self._ray.cancel(ref, force=True)


@dataclass(frozen=True)
class _Needs:
    """What a cell asks of Ray, and what its process may use of it."""

    options: dict[str, Any]
    allowed: Allowed = field(default_factory=Allowed)


def _on_a_card(cell: Cell, cards: Sequence[Node], needs_gib: float | None) -> _Needs:
    per_card = min(node.cpus / node.gpus for node in cards)
    smallest = min(node.machine.gpu_memory_gib for node in cards)
    part = float(cards_of(cell))
    if part == 1 and not cell.is_measured and needs_gib is not None and smallest > 0:
        eighths = math.ceil(needs_gib / (SHARE * smallest) * MOST_ON_A_CARD)
        part = min(1.0, eighths / MOST_ON_A_CARD)
    cores = max(1, min(CORES_PER_CELL * cards_of(cell), int(per_card * part)))
    beside = max(1, int(1 / part))
    return _Needs({"num_cpus": cores, "num_gpus": part}, Allowed(cores, beside))


def _on_processors(cell: Cell, fitting: Sequence[Node]) -> _Needs:
    """One processor, or all of the largest node's for a cell that measures: alone is alone."""
    cpus = max((node.cpus for node in fitting), default=1.0)
    return _Needs({"num_cpus": cpus if cell.is_measured else min(cpus, cards_of(cell))})
