"""Which card a cell gets, and how many cells share one.

Cells share a card where their estimated memory leaves room, counted with what earlier cells of the
run took beyond their estimates. A cell without an estimate gets a card to itself.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import DamagedFile, HarnessError
from harness.plan.available import has_accelerator
from harness.plan.devices import KEY as DEVICES
from harness.plan.devices import on_each_gib
from harness.plan.machine import Gpu, Machine, visible_gpus
from harness.plan.memory import CONTEXT_MIB
from harness.results.paths import CellPaths, read_json, write_json
from harness.results.result import load_result
from harness.suite.model_card import Requirement

SHARE = 0.6
"""Part of a card's memory that cells which share it may need together.

A batch is planned for at most 0.6 of the memory that is free (`MEMORY_SHARE` of decoding): if all
cells together need no more than that of the card, each of them still finds room for the batches
that it would use alone, so that its answers are the same.
"""
MOST_ON_A_CARD = 8
"""Cells that share a card at most: beyond some six, a card of today gains nothing by one more."""
CORES_PER_CELL = 2
"""Cores for each cell on a card: one launches its kernels, one tokenizes and writes."""
CORES_PER_CARD = 4
"""With so many cores for each card, what runs on one card does not delay the measuring on another;
with fewer, everything stops while a cell measures."""
PEAKS = ("load_vram_mib", "infer_reserved_vram_mib", "train_reserved_vram_mib")
"""What a cell took of a card: the allocator holds more than the tensors need."""
NO_ROOM = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Words in the reason of a cell that failed for want of memory."""


@dataclass
class Group:
    """Cells that stop for each other while one of them measures."""

    waiting: deque[Any] = field(default_factory=deque)
    """Workers that wait to measure."""
    measuring: Any = None


@dataclass
class Card:
    """A GPU, or the machine's processor, with the cells that run on it."""

    gpu: Gpu | None
    group: Group
    running: dict[str, float | None] = field(default_factory=dict)
    """Cell key → GiB that it is expected to need; None where nobody knows, infinite for one that
    gets the card to itself."""

    def has_room(self, needed: float | None, factor: float, most: int, *, by_memory: bool) -> bool:
        """Whether one more cell may start here."""
        if self.group.measuring is not None or len(self.running) >= most:
            # a worker that starts now would cost the measuring one processor time: the fork of a
            # server that holds gigabytes, and its own first steps
            return False
        if not self.running:
            return True
        if math.inf in (needed, *self.running.values()):
            return False
        if not by_memory or self.gpu is None:
            return True
        needs = [needed, *self.running.values()]
        known = [need for need in needs if need is not None]
        return len(known) == len(needs) and sum(known) * factor <= SHARE * self.gpu.memory_gib


class Cards:
    """The cards of this machine that a run uses.

    Args:
        machine: This machine.
        gpus: The GPUs to use; none: cells run on the processor.
        workers: Cells at a time; None: as many as the cores, or the cards' memory, allow.
    """

    def __init__(self, machine: Machine, gpus: Sequence[Gpu], workers: int | None) -> None:
        apart = len(gpus) > 1 and machine.cores >= CORES_PER_CARD * len(gpus)
        one = Group()
        self.all = [Card(gpu, Group() if apart else one) for gpu in gpus] or [Card(None, one)]
        self._by_memory = workers is None
        self._machine = machine
        self._factor = 1.0
        count = len(self.all)
        if not gpus:
            self.most = workers or machine.cores
        elif workers is None:
            fitting = machine.cores // count // CORES_PER_CELL
            self.most = max(1, min(MOST_ON_A_CARD, fitting))
        else:
            self.most = -(-workers // count)
        self.at_once = workers or self.most * count

    def place(self, key: str, paths: CellPaths, *, alone: bool) -> Card | None:
        """The card that the cell ``key`` gets now, noted in its ``cell.json``; None: none yet.

        Args:
            key: The cell.
            paths: Its folder.
            alone: Give it a card that runs nothing else.
        """
        if sum(len(card.running) for card in self.all) >= self.at_once:
            return None
        job = read_json(paths.cell) if self.all[0].gpu else {}
        needed = math.inf if alone else _needed_gib(job)
        fitting, devices = self._fitting(job), _devices(job)
        if 1 < devices <= most_alike([card.gpu for card in fitting if card.gpu]):
            return self._place_on_several(key, paths, job, fitting, devices=devices)
        # with too few of them it runs on one, where its training says so and is skipped;
        # the emptiest first, so that every card works before any is shared
        for card in sorted(fitting, key=lambda card: len(card.running)):
            most = 1 if alone else self.most
            if card.has_room(needed, self._factor, most, by_memory=self._by_memory):
                card.running[key] = needed
                if card.gpu is not None:
                    write_json(paths.cell, self._on(job, card.gpu, most))
                return card
        return None

    def _place_on_several(
        self, key: str, paths: CellPaths, job: Mapping[str, Any], fitting: Sequence[Card], *,
        devices: int,
    ) -> Card | None:  # fmt: skip
        """The first of ``devices`` cards, all of which the cell gets to itself; None: not yet.

        The queue waits with it, so that cells for one card do not overtake it for good.
        """
        chosen = _alike(fitting, devices)
        if chosen is None:
            return None
        for card in chosen:
            card.running[key] = math.inf
        ids = [card.gpu.id for card in chosen if card.gpu]
        assert chosen[0].gpu is not None, "several devices are GPUs"
        placed = self._on(job, chosen[0].gpu, 1)
        write_json(paths.cell, {**placed, "device": {**placed["device"], "ids": ids}})
        return chosen[0]

    def _fitting(self, job: Mapping[str, Any]) -> list[Card]:
        """The cards that the cell of ``job`` can run on: they may be of several kinds."""
        if len(self.all) == 1:
            return self.all
        needs = Requirement(**job.get("cell", {}).get("model", {}).get("requires", {}))
        size = _needed_gib(job) or 0.0
        if needs.memory_gib is None:  # what a card asks for is of each device
            size = on_each_gib(size, needs.gpus)
        fitting = [
            card
            for card in self.all
            if card.gpu and size <= card.gpu.memory_gib and has_accelerator(needs, card.gpu.name)
        ]
        # a plan skips what fits on none; whoever runs such a cell by hand hears of it from the card
        return fitting or self.all

    def leave(self, card: Card, key: str, paths: CellPaths) -> None:
        """The cell ``key`` has ended: learn from what it took, if it took more than expected."""
        needed = card.running.pop(key)
        for other in self.all:  # those that it had besides
            other.running.pop(key, None)
        if card.gpu is None or not needed or needed == math.inf or not self._by_memory:
            return
        try:
            result = load_result(paths.result)
        except (DamagedFile, HarnessError):
            return
        values = [result.value(name) for name in PEAKS] if result else []
        peaks = [value.value for value in values if value and value.value is not None]
        if peaks:
            self._factor = max(self._factor, (max(peaks) + CONTEXT_MIB) / 1024 / needed)

    def _on(self, job: Mapping[str, Any], gpu: Gpu, most: int) -> dict[str, Any]:
        """``job`` with the device that it gets: a machine may hold cards of several kinds."""
        environment = job["environment"]
        machine = {**environment["machine"], "gpu": gpu.name, "gpu_memory_gib": gpu.memory_gib}
        return {
            **job,
            # so many at once as the user says, not as memory allows: nobody has counted the copies
            "copies": job.get("copies", False) and (self._by_memory or most == 1),
            "environment": {**environment, "machine": machine},
            "hardware": gpu.name,
            "device": {
                "index": gpu.index,
                "name": gpu.name,
                "id": gpu.id,
                # on a cluster others may be on the card that this machine knows nothing of
                "cells_at_once": max(most, job.get("beside", 1)),
            },
        }


def most_alike(gpus: Sequence[Gpu]) -> int:
    """How many of ``gpus`` one training can use: all of one kind, or the slowest sets the pace."""
    return max(Counter(gpu.name for gpu in gpus).values(), default=0)


def _alike(cards: Sequence[Card], count: int) -> list[Card] | None:
    """The first ``count`` of ``cards`` that are free and of one kind; None if there are not."""
    kinds: dict[str, list[Card]] = {}
    for card in cards:
        if card.gpu and not card.running and card.group.measuring is None:
            kinds.setdefault(card.gpu.name, []).append(card)
    return next((kind[:count] for kind in kinds.values() if len(kind) >= count), None)


def chosen_gpus(found: Sequence[Gpu], numbers: Sequence[int] | None) -> list[Gpu]:
    """Those of ``found`` that ``numbers`` name; all without numbers.

    Raises:
        HarnessError: there is no such device here.
    """
    if numbers is None:
        return list(found)
    by_number = {gpu.index: gpu for gpu in found}
    missing = [str(number) for number in numbers if number not in by_number]
    if missing or len(set(numbers)) != len(numbers):
        there = ", ".join(map(str, by_number)) or "none"
        what = f"no GPU {', '.join(missing)} here" if missing else "a GPU is named twice"
        visible = visible_gpus()
        lists = "`nvidia-smi -L` lists them" if visible is None else (
            f"Numbers are those of `nvidia-smi`; CUDA_VISIBLE_DEVICES={visible} leaves"
        )  # fmt: skip
        raise HarnessError(f"--devices: {what}", hint=f"{lists}: {there}.")
    return [by_number[number] for number in numbers]


def _devices(job: Mapping[str, Any]) -> int:
    cell = job.get("cell", {})
    split = int(cell.get("model", {}).get("requires", {}).get("gpus", 1))
    return max(int(cell.get("training", {}).get(DEVICES, 1)), split)


def _needed_gib(job: Mapping[str, Any]) -> float | None:
    needed = job.get("takes_gib")
    return None if needed is None else float(needed)
