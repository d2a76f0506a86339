"""Names to things, with "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from harness.errors import HarnessError

T = TypeVar("T")


_MOST = 60
"""Names that a hint lists: the keys of a large run would fill several screens."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or lists what is known."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.6)
    if near:
        return f'Did you mean "{near[0]}"?'
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"Known: {', '.join(names[:_MOST])}{more}." if names else "None are known."


class Registry(Generic[T]):
    """A mapping from names to things that refuses duplicates and explains misses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        """Register ``item`` under ``name``; a second registration of a name is our bug."""
        assert name not in self._items, f"{self.kind} {name!r} is registered twice"
        self._items[name] = item

    def get(self, name: str) -> T:
        """The thing registered as ``name``.

        Raises:
            HarnessError: nothing has that name; the message carries the nearest one.
        """
        if name not in self._items:
            raise HarnessError(
                f'unknown {self.kind} "{name}"', hint=did_you_mean(name, self._items)
            )
        return self._items[name]

    def names(self) -> list[str]:
        """Every name, in the order of registration."""
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))
