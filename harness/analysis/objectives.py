"""Rows ordered by the suite's objective, and the Pareto front of quality, memory and latency.

Order and front use means; the tie letters show which rows differ significantly. Speeds measured on
different hardware, or on the prompts of different data sets, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from harness.analysis.table import Row, Table
from harness.suite.schema import Objectives

MEMORY = ("infer_peak_vram_mib", "infer_peak_rss_mib")
"""Metrics of a row's memory, in order of preference: the device's peak, else the process's."""
RESERVED = "train_reserved_vram_mib"
"""Used if no row was measured while answering: the peak of training, from imported runs."""
LATENCY = "latency_p50_ms"


@dataclass(frozen=True)
class Standing:
    """One row under the objectives."""

    row: Row
    quality: float
    memory_mib: float | None
    latency_ms: float | None
    """None too if the table's rows were measured on different hardware or data sets."""
    per_gib: float | None
    """Quality per GiB of peak memory; None for metrics where lower is better."""
    outside: str | None
    """The bound that the row breaks, if any."""
    on_front: bool
    """Whether no row within the bounds is at least as good in all and better in something."""


def standings(table: Table, objectives: Objectives) -> list[Standing]:
    """The table's scored rows, best first: within the bounds, by `order_by`.

    Empty if the rows were tested on different examples: their means are not comparable.
    """
    if table.test_sets > 1:
        return []
    rows = [row for row in table.rows if row.mean(table.primary_metric) is not None]
    speed = len(table.machines()) < 2 and len(table.measured_on(LATENCY)) < 2
    plain = [_standing(table, row, objectives, speed=speed) for row in rows]
    # rows out of bounds do not take others off the front: they are no alternative
    points = {_costs(s, table) for s in plain if s.outside is None}
    ranked = [
        replace(s, on_front=s.outside is None and not _dominated(_costs(s, table), points))
        for s in plain
    ]
    if table.higher_is_better is None:  # without a direction there is neither order nor front
        return [replace(s, on_front=False) for s in plain]
    return sorted(ranked, key=lambda s: (s.outside is not None, _rank(s, table, objectives)))


def memory_metrics(table: Table) -> tuple[str, ...]:
    """The metrics to read a row's memory from; the first one that the row has is used."""
    measured = any(row.values(name) for row in table.rows for name in MEMORY)
    return MEMORY if measured else (RESERVED,)


def _standing(table: Table, row: Row, objectives: Objectives, *, speed: bool) -> Standing:
    quality = row.mean(table.primary_metric) or 0.0
    memory = next((m for name in memory_metrics(table) if (m := row.mean(name)) is not None), None)
    latency = row.mean(LATENCY) if speed else None
    ratio = quality / (memory / 1024) if memory and table.higher_is_better else None
    return Standing(
        row, quality, memory, latency, ratio, _outside(memory, latency, objectives), False
    )


def _outside(memory: float | None, latency: float | None, bounds: Objectives) -> str | None:
    checks = (
        ("memory", memory, bounds.max_memory_mib, "MiB"),
        ("latency", latency, bounds.max_latency_ms, "ms"),
    )
    for name, value, bound, unit in checks:
        if bound is not None and value is None:
            return f"{name} was not measured"
        if bound is not None and value is not None and value > bound:
            return f"{name} {value:.4g} {unit} is over {bound:g}"
    return None


def _dominated(point: tuple[float, ...], points: Collection[tuple[float, ...]]) -> bool:
    return any(
        other != point and all(o <= p for o, p in zip(other, point, strict=True))
        for other in points
    )


def _costs(standing: Standing, table: Table) -> tuple[float, ...]:
    """Quality and costs, smaller is better. A missing measurement counts as the worst possible."""
    quality = -standing.quality if table.higher_is_better else standing.quality
    measured = (standing.memory_mib, standing.latency_ms)
    return (quality, *(math.inf if cost is None else cost for cost in measured))


def _rank(standing: Standing, table: Table, objectives: Objectives) -> tuple[bool, float]:
    """Sort key, smaller is better. Rows without a quality per GiB follow the others, by quality."""
    if objectives.order_by == "quality_per_gib" and standing.per_gib is not None:
        return (False, -standing.per_gib)
    return (True, -standing.quality if table.higher_is_better else standing.quality)
