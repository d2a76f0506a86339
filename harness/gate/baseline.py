"""Baseline files: what is kept of a run so that a later run can be compared with it.

A baseline holds scores per example, values, settings and hardware, and why it was recorded. It is
small enough to be committed, and paired comparisons need nothing else of the run it came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from harness.analysis.difference import Seeds
from harness.counting import counted
from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction, Records
from harness.metrics.registry import example_metric
from harness.plan.git import git_file
from harness.results.packing import SUFFIX
from harness.results.paths import RunPaths, write_text
from harness.results.result import CellResult
from harness.results.run import Run, load_run
from harness.results.value import stored_directions

SCHEMA = 1
DIGITS = 6
"""Decimals of a stored score: far below any margin, and a short file."""
SHARED = ("id", "label", "predicted_label")
"""Fields of a prediction that a snapshot keeps, besides its cluster, scores and the text's hash."""


@dataclass(frozen=True)
class CellSnapshot:
    """One cell as a later run is compared with it."""

    row: str
    """`model--quantization--adapter--dataset`."""
    seed: int | None
    status: str
    reason: str | None = None
    primary_metric: str = ""
    hardware: str = ""
    packages: dict[str, str | None] = field(default_factory=dict)
    data_hash: str = ""
    """Over the data of all test examples, in order of their ids."""
    prompt_hash: str = ""
    """Over the prompts as the model saw them, in order of the ids."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    signatures: dict[str, str] = field(default_factory=dict)
    """Metric → how it was computed."""
    values: dict[str, float | None] = field(default_factory=dict)
    examples: dict[str, list[Any]] = field(default_factory=dict)
    """Column → one entry per example: `id`, labels, `group` (a number) where clusters repeat, and
    `text`, a hash of the answer."""
    scores: dict[str, list[float | None]] = field(default_factory=dict)
    """Metric → one score per example."""
    noise: dict[str, float] = field(default_factory=dict)
    """Metric → noise floor."""
    directions: dict[str, bool | None] = field(default_factory=dict)
    """Metric → whether higher is better, of metrics that are not registered."""
    measured_in: str | None = None
    """The row whose cell measures speed in this one's place; None if it measures by itself."""

    @property
    def name(self) -> str:
        """The row and the seed."""
        return self.row if self.seed is None else f"{self.row}--s{self.seed}"

    def records(self) -> Records:
        """Example id → what `harness.analysis.difference` needs of a record."""
        columns = self.examples
        records: Records = {}
        for k, example in enumerate(columns.get("id", ())):
            scores = {m: v[k] for m, v in self.scores.items() if v[k] is not None}
            shared = {key: column[k] for key, column in columns.items()}
            # equality is all that a comparison asks of an answer, so its hash serves as the text
            record = {**shared, "scores": scores, "prediction": columns["text"][k]}
            records[example] = cast("Prediction", record)
        return records


@dataclass(frozen=True)
class Snapshot:
    """A run, or a baseline file."""

    suite: str
    cells: tuple[CellSnapshot, ...]
    history: tuple[dict[str, str], ...] = ()
    """Each update's `reason` and `revision`, the oldest first."""

    def rows(self) -> dict[str, list[CellSnapshot]]:
        """Row → its cells by seed."""
        rows: dict[str, list[CellSnapshot]] = {}
        for cell in self.cells:
            rows.setdefault(cell.row, []).append(cell)
        return {row: sorted(cells, key=lambda c: c.seed or 0) for row, cells in rows.items()}


def snapshot_of(run: Run) -> Snapshot:
    """``run`` as a snapshot."""
    return Snapshot(run.suite["name"], tuple(_cell(run, cell) for cell in run.cells))


def _cell(run: Run, cell: CellResult) -> CellSnapshot:
    if cell.status != "ok":
        return CellSnapshot(cell.row, cell.seed, cell.status, cell.reason)
    records = sorted(run.predictions(cell), key=lambda r: str(r["id"]))
    metrics = sorted({metric for record in records for metric in record["scores"]})
    whole = [v for v in cell.values if v.category is None]
    examples = {key: [r.get(key) for r in records] for key in SHARED}
    return CellSnapshot(
        cell.row, cell.seed, "ok",
        primary_metric=cell.primary_metric,
        hardware=cell.hardware,
        packages=cell.provenance.environment.packages,
        data_hash=digest(*(f"{r['id']}{r.get('data_hash')}" for r in records)),
        prompt_hash=digest(*(f"{r['id']}{r.get('prompt_hash')}" for r in records)),
        generation=cell.provenance.cell.get("generation", {}),
        labels=cell.labels,
        signatures={v.metric: v.signature for v in whole if v.signature},
        values={v.metric: v.value for v in whole},
        examples={
            **{key: column for key, column in examples.items() if set(column) != {None}},
            **_clusters(records),
            "text": [r.get("answer_hash", digest(r.get("prediction")))[:8] for r in records],
        },
        scores={m: [_rounded(r["scores"].get(m)) for r in records] for m in metrics},
        noise=cell.noise.floor,
        directions=stored_directions([cell]),
        measured_in=_measured_in(run, cell),
    )  # fmt: skip


def _measured_in(run: Run, cell: CellResult) -> str | None:
    place = run.measured_in.get(cell.key)
    return replace(cell, dataset=place.dataset).row if place else None


def _clusters(records: Sequence[Prediction]) -> dict[str, list[int]]:
    """Each example's cluster as a number; empty if every cluster holds one example.

    Numbers, because a group may be a whole passage of text.
    """
    groups = [r.get("group") or r["id"] for r in records]
    numbers = {group: k for k, group in enumerate(dict.fromkeys(groups), start=1)}
    return {} if len(numbers) == len(groups) else {"group": [numbers[g] for g in groups]}


def only_metrics(snapshot: Snapshot, metrics: Iterable[str]) -> Snapshot:
    """``snapshot`` reduced to the scores and signatures of ``metrics`` and the primary metrics."""
    asked = set(metrics)
    cells = []
    for cell in snapshot.cells:
        named = {*asked, cell.primary_metric}
        used = {*named, *map(example_metric, named)}
        scores = {m: column for m, column in cell.scores.items() if m in used}
        signatures = {m: text for m, text in cell.signatures.items() if m in used}
        cells.append(replace(cell, scores=scores, signatures=signatures))
    return replace(snapshot, cells=tuple(cells))


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, DIGITS)


def save_baseline(path: Path, snapshot: Snapshot) -> None:
    """Write a baseline file, one cell's column per line so that a diff can be read."""
    head = {"schema": SCHEMA, "suite": snapshot.suite, "history": list(snapshot.history)}
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2]
    cells = ",\n".join(_cell_text(cell) for cell in snapshot.cells)
    write_text(path, f'{text},\n "cells": [\n{cells}\n ]\n}}\n')


def _cell_text(cell: CellSnapshot) -> str:
    record = {key: value for key, value in asdict(cell).items() if value not in (None, {}, ())}
    lines = [
        f"   {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in record.items()
        if key not in ("examples", "scores")
    ]
    for key in ("examples", "scores"):
        columns = [
            f"    {json.dumps(name)}: {json.dumps(column, separators=(',', ':'))}"
            for name, column in record.get(key, {}).items()
        ]
        if columns:
            lines.append(f'   "{key}": {{\n' + ",\n".join(columns) + "\n   }")
    return "  {\n" + ",\n".join(lines) + "\n  }"


def load_snapshot(source: str, default: Path) -> Snapshot:
    """The snapshot in ``source``: a baseline file, a run directory, or `git:REF[:PATH]`.

    Args:
        source: What `--against` was given.
        default: The baseline's path where `git:REF` names none.

    Raises:
        HarnessError: there is none, or it is of another schema.
    """
    if source.startswith("git:"):
        reference, _, name = source.removeprefix("git:").partition(":")
        return _parsed(git_file(Path(name) if name else default, reference), source)
    path = Path(source)
    if RunPaths(path).plan.is_file() or path.name.endswith(SUFFIX):
        return snapshot_of(load_run(path))
    try:
        return _parsed(path.read_text("utf-8"), source)
    except (OSError, UnicodeDecodeError) as error:
        raise _no_baseline(source, str(error)) from None


def exists(source: str) -> bool:
    """Whether ``source`` exists. A git reference counts as existing until it is read."""
    return source.startswith("git:") or Path(source).exists()


def _no_baseline(source: str, why: str) -> HarnessError:
    hint = "Write one with `harness baseline update RUN --reason …`."
    return HarnessError(f"this baseline cannot be read: {why}", where=source, hint=hint)


def _parsed(text: str, source: str) -> Snapshot:
    from pydantic import TypeAdapter, ValidationError

    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_baseline(source, str(error)) from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise _no_baseline(source, f"its schema is {schema}, this version reads {SCHEMA}")
    record.pop("schema")
    known = {f.name for f in fields(CellSnapshot)}
    for k, cell in enumerate(record["cells"] if isinstance(record.get("cells"), list) else ()):
        if isinstance(cell, dict):
            cell.setdefault("seed", None)  # empty fields are not written, and this one is required
            if unknown := sorted(set(cell) - known):
                raise _no_baseline(source, f"cells.{k}.{unknown[0]}: unknown field")
    try:
        # Validated as JSON, where a list may become a tuple; `strict` still refuses a string for a
        # number and the like.
        snapshot = TypeAdapter(Snapshot).validate_json(json.dumps(record), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise _no_baseline(source, f"{key}: {first['msg']}") from None
    for cell in snapshot.cells:
        if problem := _broken_columns(cell):
            raise _no_baseline(source, f"{cell.name}: {problem}")
    return snapshot


def _broken_columns(cell: CellSnapshot) -> str | None:
    """What is wrong with the columns of a cell; None if nothing is."""
    ids = cell.examples.get("id", [])
    if cell.examples and "text" not in cell.examples:
        return "the column `text` is missing"
    strange = [i for i in ids if not isinstance(i, str)]
    if strange:
        return f"{strange[0]!r} is not a valid example id"
    if len(set(ids)) < len(ids):
        return counted(len(ids) - len(set(ids)), "duplicate id")
    for name, column in {**cell.examples, **cell.scores}.items():
        if len(column) != len(ids):
            return (
                f"the column `{name}` has {counted(len(column), 'entry', 'entries')} for"
                f" {counted(len(ids), 'example')}"
            )
    golds = cell.examples.get("label", []) if cell.labels else []
    other = next((label for label in golds if label not in cell.labels), None)
    return None if other is None else f"{other!r} is none of its labels"


def updated(
    snapshot: Snapshot, old: Iterable[dict[str, str]], *, reason: str, revision: str
) -> Snapshot:
    """``snapshot`` as the next baseline after one of history ``old``."""
    entry = {"reason": reason, "revision": revision}
    return Snapshot(snapshot.suite, snapshot.cells, (*old, entry))


def sides(cells: Sequence[CellSnapshot]) -> Seeds:
    """The records of a row by training seed."""
    return {cell.seed: cell.records() for cell in cells}
