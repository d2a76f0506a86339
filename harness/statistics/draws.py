"""The random draws of bootstraps and sign flips, shared by every contrast of the same size.

Draws depend on size, resamples and seed alone. Contrasts of one size therefore see the same
resamples (common random numbers), each as good as with draws of its own, and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draws = NDArray[Any]
"""Resamples × examples: how often each is drawn, whether its sign is kept, or a uniform number."""

ROWS = 200
"""Resamples drawn and multiplied at a time.

Such a block fits a core's cache, and BLAS computes it on one thread. On products of this size
threads cost more than they gain, above all where other processes compute too.
"""

KEPT_CELLS = 32_000_000
"""Largest set of draws that is kept for the next contrast: 3,200 examples × 10,000 resamples.

A draw is one byte (a uniform number four), and four sets are kept: at most 128 MB of counts.
"""


def bootstrap_draws(n: int, resamples: int, seed: int) -> Iterable[Draws]:
    """How often each of n examples is drawn with replacement, in chunks of resamples."""
    return _draws(_counts, n, resamples, seed)


def sign_draws(n: int, resamples: int, seed: int) -> Iterable[Draws]:
    """1 (sign kept) or 0 (flipped) with equal chances for each of n examples, in chunks."""
    return _draws(_signs, n, resamples, seed)


def uniform_draws(n: int, resamples: int, seed: int) -> Iterable[Draws]:
    """A number from 0 to 1 for each of n examples, in chunks of resamples."""
    return _draws(_uniforms, n, resamples, seed)


def is_kept(n: int, resamples: int) -> bool:
    """Whether draws of this size are made once and kept."""
    return n * resamples <= KEPT_CELLS


UNSHARED = 10_000
"""Longer products of two vectors OpenBLAS shares out among its threads."""


def dot(first: Floats, second: Floats) -> float:
    """The inner product, on one thread.

    Threads wait for each other in a loop: beside other work on two cores, an interval of 20,000
    examples took 0.7 s of processor time in place of 0.03 s. The last digit of a shared sum also
    depends on the number of cores.
    """
    if len(first) <= UNSHARED:
        return float(first @ second)
    places = range(0, len(first), UNSHARED)
    return sum(float(first[k : k + UNSHARED] @ second[k : k + UNSHARED]) for k in places)


Drawing = Callable[[np.random.Generator, int, int], Draws]


def _draws(drawing: Drawing, n: int, resamples: int, seed: int) -> Iterable[Draws]:
    return (_kept if is_kept(n, resamples) else _drawn)(drawing, n, resamples, seed)


def _drawn(drawing: Drawing, n: int, resamples: int, seed: int) -> Iterator[Draws]:
    rng = np.random.default_rng(seed)
    for first in range(0, resamples, ROWS):
        yield drawing(rng, min(ROWS, resamples - first), n)


@lru_cache(maxsize=4)
def _kept(drawing: Drawing, n: int, resamples: int, seed: int) -> tuple[Draws, ...]:
    return tuple(_drawn(drawing, n, resamples, seed))


def _counts(rng: np.random.Generator, rows: int, n: int) -> Draws:
    """How often each of n examples is drawn, as bytes: with a mean of 1 no count comes near 255."""
    places = rng.integers(0, n, (rows, n)) + np.arange(0, rows * n, n)[:, None]
    counts = np.bincount(places.ravel(), minlength=rows * n)
    return counts.reshape(rows, n).astype(np.uint8)


def _signs(rng: np.random.Generator, rows: int, n: int) -> Draws:
    # each random byte gives eight signs
    packed = np.frombuffer(rng.bytes(rows * -(-n // 8)), np.uint8)
    return np.unpackbits(packed.reshape(rows, -1), axis=1, count=n)


def _uniforms(rng: np.random.Generator, rows: int, n: int) -> Draws:
    return rng.random((rows, n), dtype=np.float32)
