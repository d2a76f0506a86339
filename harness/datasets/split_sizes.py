"""How many rows go to training and to testing."""

from __future__ import annotations

from typing import NamedTuple

from harness.counting import counted
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.suite.dataset_entry import DatasetEntry

TEST_SHARE = 0.2
"""Default share of test rows, if training and test rows come from one table."""
ASKED = ("row is asked for", "rows are asked for")
"""What a message counts, see `counted`."""


class Sizes(NamedTuple):
    """Rows of each side."""

    train: int
    test: int


def sizes_of(examples: list[Example], entry: DatasetEntry) -> Sizes:
    """How many rows of ``examples`` each side gets: as ``entry`` says, else a fifth for testing.

    Raises:
        HarnessError: more are asked for than are there.
    """
    total = len(examples)
    share = 1.0 if entry.only_tests else TEST_SHARE
    n_test = count_of(share if entry.test is None else entry.test, total)
    n_train = max(0, total - n_test) if entry.train is None else count_of(entry.train, total)
    least = 0 if entry.only_tests else 1
    if n_test < 1 or n_train < least or n_test + n_train > total:
        raise HarnessError(
            f'data set "{entry.name}": {n_train} training and {counted(n_test, "test row")} are'
            f" asked for, {total} are there",
            hint="Lower `train` or `test`, or raise `rows`.",
        )
    return Sizes(n_train, n_test)


def count_of(share: int | float, total: int) -> int:
    """Rows of ``share``: a number of them, or a part of ``total``."""
    if isinstance(share, int):
        return share
    # 0.29 * 100 is 28.999…: without the small number a row would be lost to rounding.
    return int(share * total + 1e-9)
