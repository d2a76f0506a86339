"""The parts of a result, typed: what was noisy, confused, warned of, and where it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

CHECKED = ConfigDict(extra="forbid", strict=True)
"""How a stored record is read: no unknown field, and no value of another type."""


@dataclass(frozen=True)
class Noise:
    """What evaluating a cell again, unchanged, changed; empty where it was not repeated."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    examples: int = 0
    """Examples that were answered again."""
    flip_rate: dict[str, float] = field(default_factory=dict)
    """How it was repeated → the share of answers that changed."""
    floor: dict[str, float] = field(default_factory=dict)
    """Metric → the largest change among the repeats."""

    def __bool__(self) -> bool:
        return self.examples > 0


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of a classification: rows are gold labels, columns the labels and then unparsed."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]

    @property
    def is_whole(self) -> bool:
        """Whether it has a row of counts for each label, and in it a count for each and one more.

        A result that was edited may have others.
        """
        columns = len(self.labels) + 1
        rows = all(len(row) == columns and min(row) >= 0 for row in self.matrix)
        return rows and len(self.matrix) == len(set(self.labels)) == len(self.labels)


@dataclass(frozen=True)
class Audit:
    """What is to be known of the rows and of how the cell ran."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    warnings: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    """Counted of the training rows: rows, tokens, rows that were cut, …; a backend may add some."""


@dataclass(frozen=True)
class Git:
    """The state of the suite's repository."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    revision: str
    dirty: bool
    """Whether tracked files differed from the revision."""


@dataclass(frozen=True)
class Environment:
    """What a cell ran on and with."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    python: str = ""
    platform: str = ""
    machine: dict[str, str | int | float | None] = field(default_factory=dict)
    """Processor, cores, memory and GPU, of `harness.plan.machine`; empty when not recorded."""
    packages: dict[str, str | None] = field(default_factory=dict)
    """Package → version; None where it is not installed."""
    plugins: dict[str, str] = field(default_factory=dict)
    """Distribution of a plug-in → version."""
    git: Git | None = None

    @property
    def hardware(self) -> str:
        """The GPU, or the CPU with its cores and vectors; empty when not recorded."""
        if not self.machine:
            return ""
        # another tool's results may name one of these alone
        cores = self.machine.get("cores")
        parts = (
            self.machine.get("cpu"),
            # "1 cores" too: a baseline keeps this text, and a machine is known by it
            None if cores is None else f"{cores} cores",
            self.machine.get("features"),
        )
        return str(self.machine.get("gpu") or ", ".join(str(part) for part in parts if part))


@dataclass(frozen=True)
class Reused:
    """A stage that an earlier cell had done."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    cell: str
    """Its folder under ``cells/``."""
    environment: Environment


@dataclass(frozen=True)
class Provenance:
    """Where a result is from."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    cell: dict[str, Any] = field(default_factory=dict)
    """The resolved settings, of `cell_record`; empty for another tool's results."""
    environment: Environment = field(default_factory=Environment)
    task: dict[str, Any] = field(default_factory=dict)
    """Of imported answers: what their scores depend on."""
    reused: dict[str, Reused] = field(default_factory=dict)
    """Stage → who had done it."""


def environment_of(record: Mapping[str, object]) -> Environment:
    """The environment that ``record`` of ``environment.json`` or ``cell.json`` describes.

    Raises:
        ValidationError: it has other fields.
    """
    # by way of JSON: a strict model takes no dictionary for a record, and no list for a tuple
    return _environment_type().validate_json(json.dumps(record))


@cache
def _environment_type() -> TypeAdapter[Environment]:
    return TypeAdapter(Environment)


def upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """``record`` of an older ``result.json`` in the shape of now."""
    record.pop("metrics_version", None)  # one number for all metrics
    audit = record.get("audit")
    if isinstance(audit, dict) and "counts" not in audit:  # counts stood beside the warnings
        counts = {name: count for name, count in audit.items() if name != "warnings"}
        record["audit"] = {"warnings": audit.get("warnings", []), "counts": counts}
    return record
