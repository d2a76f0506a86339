"""Which batches the noise floor repeats: they must differ from those of the evaluation itself.

Rounding depends on how many rows a kernel computes together. A batch of 64 and "half" of it are one
and the same batch of 32 examples; a floor read from them is 0 by accident.
"""

from __future__ import annotations

from typing import NamedTuple


class Repeat(NamedTuple):
    """One more evaluation of the first examples."""

    name: str
    """The key in `noise.flip_rate`."""
    examples: int
    batch_size: int


def repeats_of(test: int, *, batch_size: int, examples: int, tuned: bool) -> list[Repeat]:
    """Return the repeats of an evaluation of ``test`` examples in batches of ``batch_size``.

    Args:
        test: Test examples.
        batch_size: Of the evaluation that counts.
        examples: The most that are answered again; 0 for none.
        tuned: Whether it is a tuned cell: one repeat shows whether its answers depend on the batch.
    """
    some = min(test, examples)
    if some == 0:
        return []
    # the largest batch that there really was, of which a share is always another batch
    whole = min(batch_size, some)
    half = Repeat("half batch", some, max(1, whole // 2))
    if tuned:
        return [half]
    return [Repeat("again", some, max(1, whole * 3 // 4)), half]
