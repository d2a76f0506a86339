"""What a cell leaves behind: ``result.json`` and ``predictions.jsonl``, typed.

Null means missing and comes with a reason; states are never encoded as numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import DamagedFile, HarnessError
from harness.metrics.prediction import CellRecords, Prediction
from harness.metrics.registry import find
from harness.results.companions import Companion
from harness.results.paths import CellPaths, write_json
from harness.results.reading import (
    ASIDE,
    READINGS,
    UPDATE,
    changed_meanwhile,
    damaged_field,
    has_odd_number,
    object_in,
)
from harness.results.records import (
    CHECKED,
    Audit,
    ConfusionMatrix,
    Noise,
    Provenance,
    upgraded,
)
from harness.results.value import Value as Value
from harness.results.value import is_half_interval
from harness.results.value import value_of as value_of
from harness.suite.endpoint import SERVED
from harness.suite.schema import CellAxes

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
