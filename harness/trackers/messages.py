"""What is sent to the process of a tracker: one JSON value a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Scalar = str | int | float | bool | None
Handle = dict[str, str]
"""How the tracker finds a run again: its id and where it is."""


@dataclass(frozen=True)
class TrackedRun:
    """A run of the tracker: a cell, or the summary of all cells."""

    name: str
    """The cell's name (its key); the name of the run directory for the summary."""
    suite: str
    group: str
    """The name of the run directory: what the cells of one run share."""
    folder: str
    """``RUN/trackers``: where files of trackers go."""
    config: dict[str, Scalar] = field(default_factory=dict)
    """The settings, flat."""
    is_summary: bool = False
    earlier: Handle = field(default_factory=dict)
    """The run of the tracker to go on with: a summary that is brought up to date."""


@dataclass(frozen=True)
class TableOf:
    """A table: columns, and rows of plain values."""

    columns: list[str]
    rows: list[list[Scalar]]


@dataclass(frozen=True)
class Ending:
    """What is known at the end of a run."""

    ok: bool
    metrics: dict[str, float] = field(default_factory=dict)
    """The metrics of a cell, with the ends of their intervals."""
    step: int = 0
    """The last step of the training."""
    texts: dict[str, str] = field(default_factory=dict)
    """Title → Markdown."""
    tables: dict[str, TableOf] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Name for the tracker → the file here, such as `report/index.html`."""
    children: list[Handle] = field(default_factory=list)
    """The runs of the cells, for a tracker that nests them."""


def line_of(kind: Literal["start", "log", "end"], value: object) -> bytes:
    """A message as a line. NaN and infinity are kept: a loss may well be one."""
    return json.dumps([kind, value]).encode() + b"\n"


def start_line(run: TrackedRun) -> bytes:
    """The first message."""
    return line_of("start", asdict(run))


def log_line(step: int, numbers: Mapping[str, float]) -> bytes:
    """Numbers of one training step."""
    return line_of("log", [step, dict(numbers)])


def end_line(ending: Ending) -> bytes:
    """The last message."""
    return line_of("end", asdict(ending))


def run_of(value: dict[str, object]) -> TrackedRun:
    """What `start_line` wrote."""
    return TrackedRun(**value)  # type: ignore[arg-type]


def ending_of(value: dict[str, object]) -> Ending:
    """What `end_line` wrote."""
    tables = value.pop("tables")
    assert isinstance(tables, dict)
    made = {name: TableOf(**table) for name, table in tables.items()}
    return Ending(**value, tables=made)  # type: ignore[arg-type]
