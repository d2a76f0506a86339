"""A run read back: its cells in matrix order, and the records beside their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.extras import need
from harness.metrics.prediction import Prediction
from harness.results.answers import control_of, log_of, predictions_of
from harness.results.companions import check_there
from harness.results.measured import MeasuredIn, measured_in_of_plan
from harness.results.packing import unpacked
from harness.results.paths import CellPaths, RunPaths, bytes_in
from harness.results.reading import PLANNED_AGAIN, damaged_field, no_plan, object_in
from harness.results.records import Environment, environment_of
from harness.results.redaction import Redaction, without_texts
from harness.results.result import CellResult, whole_result
from harness.results.state import plan_and_state
from harness.suite.schema import AXES

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Run:
    """A run directory read back: cells in matrix order."""

    directory: Path
    suite: dict[str, Any] = field(repr=False)
    """The suite's name, description and resolved text."""
    environment: Environment = field(repr=False)
    cells: tuple[CellResult, ...] = field(repr=False)
    homes: dict[str, Path] = field(default_factory=dict, repr=False)
    """Cell key → the cell's folder, of a run that was merged from several."""
    measured_in: dict[str, MeasuredIn] = field(default_factory=dict, repr=False)
    """Cell key → the cell of the same variant that measures its speed; see `shared_speeds`."""
    state: str = field(default="", repr=False)
    """A hash of the files that it was read from; empty of a run that was merged."""
    redaction: Redaction | None = field(default=None, repr=False)
    """What takes the texts of the data out of answers as they are read; None keeps them."""

    @property
    def has_texts(self) -> bool:
        """Whether prompts, references and answers may be shown; see `without_texts`."""
        return self.redaction is None

    def to_frame(self) -> DataFrame:
        """A tidy pandas table: a row for each cell and metric, and for each category.

        It is what ``results.csv`` holds. A cell without a result has one row with its status. For a
        speed that another cell measured, ``measured_in`` is that cell's key.
        """
        need("a table in pandas", "pandas")
        from pandas import DataFrame

        from harness.results.tidy import TIDY_COLUMNS, tidy_records

        return DataFrame(tidy_records(self), columns=list(TIDY_COLUMNS))

    def predictions(self, cell: CellResult) -> list[Prediction]:
        """The prediction records of ``cell``, in example order; empty when there are none."""
        stored = self.redaction.as_stored(cell) if self.redaction else cell
        return self._readable(predictions_of(stored, self.paths(cell)))

    def train_log(self, cell: CellResult) -> list[dict[str, float]]:
        """The logged training steps of ``cell``; empty for a baseline."""
        return log_of(cell, self.paths(cell))

    def paths(self, cell: CellResult) -> CellPaths:
        """The files of ``cell``."""
        home = self.homes.get(cell.key)
        return CellPaths(home) if home else RunPaths(self.directory).cell(cell.key)

    def control(self, cell: CellResult) -> list[Prediction]:
        """The control records of ``cell``; empty when there are none."""
        return self._readable(control_of(cell, self.paths(cell)))

    def _readable(self, records: list[Prediction]) -> list[Prediction]:
        if self.redaction is None:
            return records
        return [self.redaction.prediction(record) for record in records]


def load_run(directory: Path) -> Run:
    """Everything a report needs, from the files of a run directory or of a packed run alone.

    Raises:
        FileNotFoundError: it has no plan.json.
        DamagedFile: a file in it is damaged: a report would silently show less without it.
    """
    given = str(directory)
    directory = unpacked(directory) if directory.is_file() else directory
    paths = RunPaths(directory)
    plan, state = plan_and_state(directory, given=given)
    suite = {"path": plan["suite"]["name"], **plan["suite"]}
    try:
        cells = [_cell_of_plan(paths, entry) for entry in plan["cells"]]
        measured_in = measured_in_of_plan(plan["cells"])
    except (ValueError, KeyError, TypeError) as error:
        raise no_plan(given, f"{type(error).__name__} {error}") from None
    environment = _environment(paths.environment)
    run = Run(directory, suite, environment, tuple(cells), measured_in=measured_in, state=state)
    if plan.get("texts") is False:  # packed without them
        return without_texts(run)
    return run


def _environment(path: Path) -> Environment:
    content = bytes_in(path)
    if content is None:
        return Environment()
    try:
        return environment_of(object_in(content, path, hint=PLANNED_AGAIN))
    except ValidationError as error:
        raise damaged_field(path, error, hint=PLANNED_AGAIN) from None


def _cell_of_plan(paths: RunPaths, entry: Mapping[str, Any]) -> CellResult:
    axes = {k: entry[k] for k in ("key", *AXES)}
    shared = {k: entry.get(k, "") for k in ("fingerprint", "task", "primary_metric")}
    if entry.get("skip"):
        return CellResult(status="skipped", reason=entry["skip"], **axes, **shared)
    stored = whole_result(paths.cell(entry["key"]), check_there, wanted=entry["fingerprint"])
    if stored is None or stored.fingerprint != entry["fingerprint"]:
        reason = "no result yet" if stored is None else "the stored result is of other settings"
        return CellResult(status="missing", reason=reason, **axes, **shared)
    return stored
