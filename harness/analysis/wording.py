"""Numbers and names as sentences of a report write them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.difference import Delta
from harness.analysis.table import Row
from harness.counting import counted
from harness.metrics.meaning import title_of

MANY = 100_000
"""More examples than this are "over 100,000": an estimate from a small test knows no better."""


def number(value: float) -> str:
    """``value`` to four significant digits, integers whole."""
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def brief(value: float) -> str:
    """``value`` to three significant digits, for a sentence; thousands whole."""
    # from here on three digits would be rounded up to a power: 1e+03
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def signed(value: float) -> str:
    """``value`` with its sign and three decimals: `+0.062`, `−0.010`."""
    return f"{value:+.3f}".replace("-", "−")


def interval(delta: Delta) -> str:
    """`95% +0.039 to +0.084`."""
    return f"95% {signed(delta.low)} to {signed(delta.high)}"


def memory(mib: float) -> str:
    """Memory in the unit that a reader knows his card by."""
    return f"{mib / 1024:.3g} GiB" if mib >= 1024 else f"{brief(mib)} MiB"


def duration(ms: float) -> str:
    """A latency: milliseconds, or seconds from one second on."""
    return f"{ms / 1000:.3g} s" if ms >= 1000 else f"{brief(ms)} ms"


def variant(row: Row, *, beside: Row | None = None) -> str:
    """The name of a variant in code marks: `` `llama · nf4 · lora-r16` ``.

    After ``beside`` was named, without the model where it is the same: `` `nf4 · lora-r16` ``.
    """
    model = [] if beside is not None and beside.model == row.model else [row.model]
    return f"`{' · '.join((*model, row.quantization, row.adapter))}`"


def seeds(count: int) -> str:
    """`1 seed`, `5 seeds`."""
    return counted(count, "seed")


def gain(delta: Delta) -> str:
    """`+0.099 ROUGE-L over its untouched model (95% +0.080 to +0.119)`."""
    return f"{signed(delta.delta)} {title_of(delta.metric)} over its baseline ({interval(delta)})"


def about(count: float) -> str:
    """A number of examples to the precision that an estimate has: `≈ 400`, `over 100,000`."""
    if count > MANY:
        return f"over {MANY:,}"
    step = 10 ** max(0, len(str(int(count))) - 2)
    return f"≈ {max(1, round(count / step)) * step:,}"


def joined(parts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
