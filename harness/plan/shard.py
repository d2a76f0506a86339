"""A part of a suite's cells, for one of several machines that share nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.plan.cell import Cell


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``count`` parts."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shard_of(text: str) -> Shard:
    """The shard that ``text`` names: `3/8` is the third of eight.

    Raises:
        HarnessError: it names none.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise HarnessError(f'--shard: "{text}" is no part', hint="Write 3/8: the third of eight.")
    return shard


def in_shard(cells: Sequence[Cell], shard: Shard) -> list[bool]:
    """Of each of ``cells`` whether it belongs to ``shard``: every machine decides the same.

    A model × quantization × data set stays on one machine as far as there are enough of them: a
    variant and its baseline are then rounded alike. The largest go first, each to the part that
    has the fewest cells; with fewer groups than parts, cells are dealt one by one.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, cell in enumerate(cells):
        # tests on a task stay with the cells that train their adapters
        data = cell.dataset.train_on or cell.dataset.name
        key = (cell.model.name, cell.quantization, data)
        groups.setdefault(key, []).append(index)
    if len(groups) < shard.count:
        return [index % shard.count == shard.number - 1 for index in range(len(cells))]
    sizes = [0] * shard.count
    mine: set[int] = set()
    for members in sorted(groups.values(), key=lambda members: (-len(members), members[0])):
        part = min(range(shard.count), key=lambda part: (sizes[part], part))
        sizes[part] += len(members)
        if part == shard.number - 1:
            mine.update(members)
    return [index in mine for index in range(len(cells))]
