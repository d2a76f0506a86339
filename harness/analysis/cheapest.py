"""The cheapest of several rows, if its lead exceeds the noise of the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.objectives import LATENCY, MEMORY, Standing, memory_metrics
from harness.analysis.table import Row, Table
from harness.metrics.measurements import STABLE_CV

MEMORY_SHARE = 0.005
"""Noise of the GPU allocator's peak between processes, as a share of it."""
RSS_SHARE = 0.1
"""Noise of a process's resident memory, which includes libraries and memory the C allocator keeps.

In the shipped CPU run, rows with an adapter lie 4 to 19% below their own base, which is impossible
as an effect of the adapter.
"""
RSS = MEMORY[1]
GRANULE_MIB = 2.0
"""PyTorch's CUDA allocator rounds to blocks of 2 MiB: a smaller difference may be rounding."""


@dataclass(frozen=True)
class Cheapest:
    """The cheapest row, or how many rows are too close to call."""

    standing: Standing | None
    within: int = 0
    """How many rows cost no more than the cheapest plus the noise."""
    noise: float = 0.0
    """Differences up to this may be noise, in the cost's unit."""


def least_memory(table: Table, among: Sequence[Standing]) -> Cheapest:
    """The row of ``among`` that needs the least memory."""
    costs = [(s.memory_mib, s) for s in among if s.memory_mib is not None]
    return _least(costs, memory_noise(table, [s.row for _, s in costs]))


def fastest(among: Sequence[Standing]) -> Cheapest:
    """The row of ``among`` with the lowest latency."""
    costs = [(s.latency_ms, s) for s in among if s.latency_ms is not None]
    unsettled = [cv for _, s in costs for cv in s.row.values("latency_cv")]
    share = max([STABLE_CV, *unsettled])
    least = min((cost for cost, _ in costs), default=0.0)
    return _least(costs, max(share * least, _spread([s.row for _, s in costs], (LATENCY,))))


def _least(costs: list[tuple[float, Standing]], noise: float) -> Cheapest:
    """The least cost if every other is larger by more than ``noise``."""
    if len(costs) < 2:
        return Cheapest(None)
    least, standing = min(costs, key=lambda cost: cost[0])
    within = sum(cost - least <= noise for cost, _ in costs)
    return Cheapest(standing if within == 1 else None, within, noise)


def memory_noise(table: Table, rows: Sequence[Row]) -> float:
    """The noise of the memory of ``rows``, in MiB: the largest of four estimates.

    They are a share of the memory, the allocator's block size, twice the spread over seeds, and how
    far an adapted row lies below its own base. The last must be noise, because an adapter on top of
    a model can only add memory.
    """
    names = memory_metrics(table)
    sizes = [size for row in rows if (size := _memory(row, names)) is not None]
    below = [_below_base(row, names) for row in table.rows]
    of_process = any(row.values(RSS) and not row.values(names[0]) for row in rows)
    share = (RSS_SHARE if of_process else MEMORY_SHARE) * max(sizes, default=0.0)
    return max([share, GRANULE_MIB, 2 * _spread(rows, names), *below])


def _memory(row: Row, names: Sequence[str]) -> float | None:
    return next((size for name in names if (size := row.mean(name)) is not None), None)


def _spread(rows: Sequence[Row], names: Sequence[str]) -> float:
    spreads = (row.spread(name) for row in rows for name in names)
    return max((spread for spread in spreads if spread is not None), default=0.0)


def _below_base(row: Row, names: Sequence[str]) -> float:
    """How far the memory of a row with an attached adapter lies below its base's; else 0.

    It can be lower for a real reason, and then counts as 0: a trained head does other work than a
    base that ranks labels, and merged weights are other weights.
    """
    base = row.baseline
    own = next(iter(row.finished), None)
    if base is None or own is None or own.answered_by != base.answered_by:
        return 0.0
    if own.provenance.cell.get("serve", "attached") != "attached":
        return 0.0
    for name in names:
        before, after = base.value(name), row.mean(name)
        if before is not None and before.value is not None and after is not None:
            return max(0.0, before.value - after)
    return 0.0
