"""A few sizes that flat batches are padded to, so that few captured steps serve them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

ROUND_TO = 64
"""Sizes are multiples of this: tiles of matrix products are full."""
CAPTURE_TOKENS = 20_000
"""Tokens that could be trained while a further size is captured: 0.7 s at some 30,000 a second."""


def sizes_of(tokens: Sequence[int], capture: int = CAPTURE_TOKENS) -> list[int]:
    """The sizes, ascending, that pad batches of ``tokens`` at the least cost.

    The cost is the tokens computed, padding included, and ``capture`` tokens for each size.
    """
    counts = Counter(-(-n // ROUND_TO) * ROUND_TO for n in tokens)
    sizes = sorted(counts)
    # best[i]: the least cost of the first i sizes, and the size before the last one chosen
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, len(sizes) + 1):
        inside, choices = 0, []
        for start in range(end - 1, -1, -1):
            inside += counts[sizes[start]]
            choices.append((best[start][0] + inside * sizes[end - 1] + capture, start))
        best.append(min(choices))
    chosen, end = list[int](), len(sizes)
    while end:
        chosen.append(sizes[end - 1])
        end = best[end][1]
    return chosen[::-1]


def size_for(sizes: Sequence[int], tokens: int) -> int:
    """The smallest of ``sizes`` that holds ``tokens``."""
    return next(size for size in sizes if size >= tokens)
