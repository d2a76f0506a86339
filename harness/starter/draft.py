"""All that a first suite is written from."""

from __future__ import annotations

from dataclasses import dataclass

from harness.starter.answers import Answers
from harness.starter.choices import Sizes
from harness.starter.data import Looked
from harness.starter.model import Chosen
from harness.starter.sample import Sample


@dataclass(frozen=True)
class Draft:
    """All that a suite is written from."""

    suite: str
    """The suite's name, and its run's: that of its file, so that two suites have two runs."""
    name: str
    """The data set's name."""
    source: str
    """The data, relative to the suite."""
    test_source: str | None
    looked: Looked
    answers: Answers
    chosen: Chosen
    sizes: Sizes
    split_seed: int = 42
    sample: Sample | None = None
    """The rows that a tiny model can hold, where not all are."""
    has_twin: bool = True
    """Whether `--tiny` is offered."""

    @property
    def is_tiny(self) -> bool:
        """Whether the suite's own model is the tiny one."""
        return self.chosen.is_tiny
