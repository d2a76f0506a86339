"""Counts in sentences: `1 row`, `2 rows`."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "", *, separated: bool = False) -> str:
    """``count`` with its noun, singular for one: `1 test row`, `0 test rows`.

    Every message with a count goes through here: whoever writes "rows" has many in mind, and the
    user who gets to see it has one. `tests/test_counting.py` holds all of `harness` to it.

    Args:
        count: How many.
        noun: Its name in the singular, with adjectives.
        plural: Its name in the plural, where that is not the noun with an `s`.
        separated: Whether thousands are set apart: `12,000 rows`.
    """
    number = f"{count:,}" if separated else str(count)
    return f"{number} {agreeing(count, noun, plural or f'{noun}s')}"


def agreeing(count: int, one: str, many: str) -> str:
    """``one`` after a count of one, else ``many``: the verb of a counted subject."""
    return one if count == 1 else many
