"""Variants that are as good as the recommended one: what they cost, and how many there are."""

from __future__ import annotations

from harness.analysis.cheapest import Cheapest, fastest, least_memory
from harness.analysis.objectives import LATENCY, Standing
from harness.analysis.table import Table
from harness.analysis.wording import duration, memory, variant
from harness.counting import agreeing, counted


def cheaper(table: Table, chosen: Standing, tied: list[Standing], n: int) -> list[str]:
    """Tied variants that cost less than ``chosen`` by more than the noise of the measurement."""
    texts = []
    for what, found in (("memory", least_memory(table, tied)), ("latency", fastest(tied))):
        less = _less(table, chosen, tied, what, found)
        if less is not None:
            own, other = _cost(chosen, what), _cost(less, what)
            assert own is not None
            assert other is not None
            show = memory if what == "memory" else duration
            texts.append(
                f"As good with less {what}: {variant(less.row, beside=chosen.row)},"
                f" {show(other)} instead of {show(own)}"
                f"{less.row.place_of(LATENCY) if what == 'latency' else ''}"
                f"{_other_cost(less, what)} (as far as {counted(n, 'example')} can tell)."
            )
    return texts


def _other_cost(standing: Standing, what: str) -> str:
    """The cost that was not looked at: less time may take more memory, and whoever decides asks."""
    mib, ms = standing.memory_mib, standing.latency_ms
    if what == "memory":
        return f" at {duration(ms)} an answer{standing.row.place_of(LATENCY)}" if ms else ""
    return f" at {memory(mib)}" if mib else ""


def why_this_one(table: Table, tied: list[Standing], n: int) -> list[str]:
    """That others are as good: the highest of several means that are alike may be chance."""
    others = len(tied) - 1
    if others < 1:
        return []
    many, them = counted(others, "other variant"), agreeing(others, "it", "them")
    word = "highest" if table.higher_is_better else "lowest"
    return [
        f"{many} gained, and {counted(n, 'example shows', 'examples show')} no difference between"
        f" {them} and this one, which has the {word} mean."
    ]


def _cost(standing: Standing, what: str) -> float | None:
    return standing.memory_mib if what == "memory" else standing.latency_ms


def _less(
    table: Table, chosen: Standing, tied: list[Standing], what: str, found: Cheapest
) -> Standing | None:
    """The best of the variants that are within noise of the cheapest, if ``chosen`` is not."""
    known = [(cost, s) for s in tied if (cost := _cost(s, what)) is not None]
    own = _cost(chosen, what)
    if own is None or len(known) < 2:
        return None
    least = min(cost for cost, _ in known)
    if own - least <= found.noise:
        return None
    sign = 1 if table.higher_is_better else -1
    within = [s for cost, s in known if cost - least <= found.noise and s.row is not chosen.row]
    return max(within, key=lambda s: sign * s.quality, default=None)
