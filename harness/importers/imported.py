"""An imported cell, and the run directory that imported cells become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.datasets.example import digest
from harness.datasets.file_hash import file_hash
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.plan.cell import cell_key
from harness.plan.task import Task, task_record
from harness.results.answers import write_predictions
from harness.results.companions import companions_of
from harness.results.paths import RunPaths, write_json
from harness.results.reading import read_plan
from harness.results.records import Audit, ConfusionMatrix, Environment, Provenance
from harness.results.result import CellResult, Value, save_result
from harness.scoring.scoring import signatures_of
from harness.suite.schema import CellAxes


@dataclass(frozen=True)
class Imported:
    """One cell of another tool."""

    model: str
    quantization: str
    adapter: str
    dataset: str
    seed: int | None
    primary_metric: str
    source: Path
    """The file that it was read from, or its address at another tool."""
    content: str = ""
    """A hash of what was read, where that is no file."""
    values: tuple[Value, ...] = ()
    records: list[Prediction] = field(default_factory=list)
    """Scored records; empty where the tool keeps none."""
    failed: str | None = None
    """Why it has no result."""
    facts: dict[str, object] = field(default_factory=dict)
    task: Task | None = None
    """What its scores depend on, where they are our own: `harness score` computes them again."""
    confusion: ConfusionMatrix | None = None
    warnings: tuple[str, ...] = ()
    """What a reader of its scores has to know."""
    machine: dict[str, str | int | float | None] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def axes(self) -> CellAxes:
        """The cell's name on each axis."""
        return {
            "model": self.model, "quantization": self.quantization,
            "adapter": self.adapter, "dataset": self.dataset, "seed": self.seed,
        }  # fmt: skip


def plain(name: str) -> str:
    """``name`` fit for an axis: lower case, words of any script joined by hyphens, dots kept."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.]+|_+", "-", last.lower()).strip("-") or "unnamed"


def write_run(
    directory: Path, name: str, cells: Sequence[Imported], *, baseline_of: str = "adapter"
) -> None:
    """Write ``cells`` as a run directory, whose first value of ``baseline_of`` is the baseline.

    Raises:
        HarnessError: two cells share their axes, or the directory holds a run of a suite.
    """
    paths = RunPaths(directory)
    stored = read_plan(directory, given=str(directory)) if paths.plan.is_file() else None
    if stored and not stored["suite"].get("imported"):
        hint = "Give another directory with -o."
        text = "the directory already holds the run of a suite"
        raise HarnessError(text, where=str(directory), hint=hint)
    seen: dict[tuple[Any, ...], Path] = {}
    entries = []
    for cell in cells:
        axes = tuple(cell.axes.values())
        if axes in seen:
            text = f"has the same cell as {seen[axes]}: {', '.join(map(str, axes))}"
            raise HarnessError(text, where=str(cell.source), hint="Import one of the two.")
        seen[axes] = cell.source
        result = _result(cell)
        entries.append(_entry(result))
        home = paths.cell(result.key)
        if cell.records:
            write_predictions(home.predictions, cell.records)
        save_result(home, replace(result, companions=companions_of(home)))
    sources = ", ".join(sorted({str(cell.source) for cell in cells})[:3])
    suite = {
        "name": name, "description": f"imported: {sources}", "path": name, "imported": True,
        "baseline_of": baseline_of,
    }  # fmt: skip
    write_json(paths.plan, {"schema": 1, "suite": suite, "cells": entries})
    machine = next((cell.machine for cell in cells if cell.machine), {})
    packages = next((cell.packages for cell in cells if cell.packages), {})
    write_json(paths.environment, {"machine": machine, "packages": packages, "git": None})


def _result(cell: Imported) -> CellResult:
    if cell.content:
        print_ = digest(str(cell.source), cell.content)
    else:
        print_ = digest(str(cell.source.resolve()), file_hash(cell.source))
    environment = Environment(machine=cell.machine, packages=dict(cell.packages))
    return CellResult(
        **cell.axes,
        key=cell_key(cell.axes, print_),
        status="failed" if cell.failed else "ok",
        fingerprint=print_,
        task=cell.task.task if cell.task else "generation",
        primary_metric=cell.primary_metric,
        reason=cell.failed,
        values=cell.values,
        data={"test_rows": len(cell.records)} if cell.records else {},
        facts={"imported_from": str(cell.source), **cell.facts},
        audit=Audit(tuple(cell.warnings)),
        confusion=cell.confusion,
        provenance=Provenance(
            environment=environment,
            task=_settled(cell.task) if cell.task else {},
        ),
        metric_signatures=signatures_of(cell.task) if cell.task else {},
    )


def _settled(task: Task) -> dict[str, object]:
    return {**task_record(task), "evaluation": task.evaluation.model_dump(mode="json")}


def _entry(result: CellResult) -> dict[str, object]:
    shared = ("key", "fingerprint", "task", "primary_metric")
    return {**result.axes, **{key: getattr(result, key) for key in shared}, "skip": None}
