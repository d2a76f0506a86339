"""What a cell leaves behind: ``result.json`` and ``predictions.jsonl``, typed.

Null means missing and comes with a reason; states are never encoded as numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import DamagedFile, HarnessError
from harness.extras import need
from harness.metrics.prediction import CellRecords, Prediction
from harness.metrics.registry import find
from harness.results.answers import control_of, log_of, predictions_of
from harness.results.companions import Companion, check_there
from harness.results.measured import MeasuredIn, measured_in_of_plan
from harness.results.packing import unpacked
from harness.results.paths import CellPaths, RunPaths, bytes_in, write_json
from harness.results.reading import (
    ASIDE,
    PLANNED_AGAIN,
    READINGS,
    UPDATE,
    changed_meanwhile,
    damaged_field,
    has_odd_number,
    no_plan,
    object_in,
)
from harness.results.records import (
    CHECKED,
    Audit,
    ConfusionMatrix,
    Environment,
    Noise,
    Provenance,
    environment_of,
    upgraded,
)
from harness.results.redaction import Redaction, without_texts
from harness.results.state import plan_and_state
from harness.results.value import Value as Value
from harness.results.value import is_half_interval
from harness.results.value import value_of as value_of
from harness.suite.endpoint import SERVED
from harness.suite.schema import AXES, CellAxes

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 3
"""2: the backend and the stages of a cell have fingerprints. 3: a result records the files beside
it. Older ones are read as they are."""
READABLE = frozenset({1, 2, SCHEMA})
_ENDING = f'"schema": {SCHEMA}\n}}\n'.encode()
"""How `write_json` ends a result: its last field is the schema."""
Status = Literal["ok", "failed", "skipped", "missing"]


@dataclass(frozen=True)
class CellResult:
    """The outcome of one cell."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    key: str
    """``<model>--<quantization>--<adapter>--<dataset>--s<seed>-<hash8>``; `base` has no seed."""
    status: Status
    model: str
    quantization: str
    adapter: str
    dataset: str
    seed: int | None
    fingerprint: str
    task: str = "generation"
    primary_metric: str = ""
    """The metric the leaderboard orders this data set by."""
    reason: str | None = None
    """Why it was skipped or failed: one line."""
    values: tuple[Value, ...] = ()
    audit: Audit = field(default_factory=Audit)
    """Counts of the audit before training, and every warning."""
    data: dict[str, Any] = field(default_factory=dict)
    """Rows read, dropped, split sizes, content hash, overlap."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Read from the loaded model: dtypes, module counts, adapter proof, first prompt."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds per phase and in `total`; `paused`, while another cell measured, is in none."""
    answered_by: str = "generation"
    """How answers were read: `generation`, `head` or `likelihood`."""
    trivial: dict[str, str] = field(default_factory=dict)
    """The answers of the trivial baselines: `majority`, or `constant`."""
    noise: Noise = field(default_factory=Noise)
    """What evaluating again changed; baselines only."""
    confusion: ConfusionMatrix | None = None
    """Of a classification."""
    provenance: Provenance = field(default_factory=Provenance)
    """Resolved settings, package versions, hardware, git revision."""
    metric_signatures: dict[str, str] = field(default_factory=dict)
    """Metric → how it was computed. Where that differs from how it is computed now, `harness run`
    and `harness score` bring the cell up to date."""
    stages: dict[str, str] = field(default_factory=dict)
    """Stage → its fingerprint: what another cell's result must share to be used for this one."""
    companions: dict[str, Companion] = field(default_factory=dict)
    """File beside ``result.json`` → its hash and rows; empty in results of older versions."""
    schema: int = SCHEMA

    @property
    def axes(self) -> CellAxes:
        """The cell's name on each axis."""
        return {
            "model": self.model, "quantization": self.quantization,
            "adapter": self.adapter, "dataset": self.dataset, "seed": self.seed,
        }  # fmt: skip

    @property
    def row(self) -> str:
        """`model--quantization--adapter--dataset`: what its seeds share."""
        return f"{self.model}--{self.quantization}--{self.adapter}--{self.dataset}"

    @property
    def is_baseline(self) -> bool:
        """Whether the cell's adapter is `base`."""
        return self.adapter == "base"

    @property
    def is_served(self) -> bool:
        """Whether a server gave its answers."""
        return self.adapter == SERVED

    @property
    def hardware(self) -> str:
        """The machine it was measured on: GPU, or CPU and cores; empty when not recorded."""
        return self.provenance.environment.hardware

    @property
    def is_ours(self) -> bool:
        """Whether its scores are ours.

        Those of an imported result, and of a task of lm-evaluation-harness, are another tool's.
        """
        known = bool(self.provenance.cell or self.provenance.task)
        return self.status == "ok" and known and self.task != "lm_eval"

    @property
    def answers(self) -> int:
        """The answers that its scores were computed from."""
        whole = ((v, find(v.metric)) for v in self.values if v.category is None)
        return max((v.n or 0 for v, known in whole if known and known.is_scored), default=0)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classification, in the order of its counts; empty without any."""
        return self.confusion.labels if self.confusion else ()

    def evaluation(self, key: str) -> Any:
        """The setting ``key`` of `evaluation` that the cell ran under; None when not recorded."""
        return self.provenance.cell.get("evaluation", {}).get(key)

    def value(self, metric: str, category: str | None = None) -> Value | None:
        """The value of ``metric`` (for ``category``), or None."""
        if category is None:
            return self._whole.get(metric)
        found = (v for v in self.values if v.metric == metric and v.category == category)
        return next(found, None)

    @cached_property
    def _whole(self) -> dict[str, Value]:
        """Metric → its value over all examples: a report asks every cell for every metric."""
        return {v.metric: v for v in reversed(self.values) if v.category is None}


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


def save_result(paths: CellPaths, result: CellResult) -> None:
    """Write ``result.json`` last and atomically."""
    write_json(paths.result, asdict(result))


def load_result(path: Path) -> CellResult | None:
    """The result in ``path``; None only when there is no such file.

    Raises:
        DamagedFile: it is cut or edited, with the line and the field.
        HarnessError: a newer harness wrote it.
    """
    hint = f"`harness run` does the cell again and keeps this file as {path.name}{ASIDE}."
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    found = _read_at_once(data) or _read_closely(data, path, hint=hint)
    half = next(filter(is_half_interval, found.values), None)
    what = f"{half.metric}: an interval with one end" if half else ""
    if found.confusion and not found.confusion.is_whole:
        what = "confusion: its rows and columns are not those of its labels"
    if what:
        raise DamagedFile(f"is damaged: {what}", where=str(path), hint=hint)
    return found


def whole_result(
    paths: CellPaths,
    check: Callable[[CellPaths, Mapping[str, Companion]], None],
    *,
    wanted: str | None = None,
) -> CellResult | None:
    """The result of the cell in ``paths``, with the files beside it looked at by ``check``.

    A cell may be done or scored again by another command just now: result and files are those of
    one moment, or they are read once more.

    Args:
        paths: The cell's folder.
        check: Refuses files that are not those of the result.
        wanted: The fingerprint of the results whose files are looked at; None: of all.

    Raises:
        DamagedFile: a file is damaged, and nobody is writing it.
        HarnessError: a newer harness wrote it, or it changes again and again.
    """
    for _ in range(READINGS):
        found = load_result(paths.result)
        if found is None or wanted not in (None, found.fingerprint):
            return found
        try:
            check(paths, found.companions)
        except DamagedFile:
            if load_result(paths.result) == found:
                raise
        else:
            return found
    raise changed_meanwhile(paths.directory)


def _read_closely(data: bytes, path: Path, *, hint: str) -> CellResult:
    record = object_in(data, path, hint=hint)
    schema = record.get("schema")
    if type(schema) is int and schema > SCHEMA:
        # done again by this version it would be lost to the newer one, so that is refused
        what = f"is of schema {schema}; this harness reads up to {SCHEMA}"
        raise HarnessError(what, where=str(path), hint=UPDATE)
    if schema not in READABLE:
        raise DamagedFile(f"is damaged: schema {schema!r}", where=str(path), hint=hint)
    record["schema"] = SCHEMA  # what 2 added has defaults
    try:
        # JSON once more: from Python objects pydantic would not take a list for a tuple
        return _result_type().validate_json(json.dumps(upgraded(record)))
    except ValidationError as error:
        raise damaged_field(path, error, hint=hint) from None


def _read_at_once(data: bytes) -> CellResult | None:
    """The result in ``data`` where it is whole and of now; None where a closer look is needed.

    Pydantic reads such a file in a sixth of the time, which counts for thousands of cells. The last
    brace of an object closes the object, so what stands before it is the object's own `schema`.
    """
    if not data.endswith(_ENDING) or has_odd_number(data):
        return None
    try:
        return _result_type().validate_json(data)
    except ValidationError:
        return None  # whoever takes the closer look says in which field


@cache
def _result_type() -> TypeAdapter[CellResult]:
    return TypeAdapter(CellResult)


def by_id(records: Iterable[Prediction]) -> CellRecords:
    """Example id → record, in the order of ``records``, which are not to change any more."""
    return CellRecords((record["id"], record) for record in records)


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
