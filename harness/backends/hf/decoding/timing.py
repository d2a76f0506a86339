"""How long one prompt took."""

from __future__ import annotations

from typing import NamedTuple


class Timing(NamedTuple):
    """Seconds of one prompt at batch size 1."""

    first: float
    """Until the first token."""
    each: float
    """For every further token."""
