"""What every executor says of a cell."""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    """News of a cell: ``kind`` is `stage`, `done` or `failed`."""

    key: str
    kind: str
    text: str
