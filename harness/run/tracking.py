"""A cell and its experiment trackers: what they are told of its settings, steps and results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from harness.results.answers import log_of
from harness.results.paths import CellPaths, RunPaths, write_json
from harness.results.result import CellResult
from harness.trackers.client import Tracking
from harness.trackers.messages import Ending, Scalar, TrackedRun

BLOCKS = ("training", "adapter_config", "quantization_config", "generation")
"""Blocks of a cell's settings that trackers get, under dotted names."""


@contextmanager
def tracked(paths: CellPaths, job: Mapping[str, Any]) -> Iterator[Tracking | None]:
    """The trackers of the cell of ``job``, started; None where it has none.

    They are closed at the end of the block, also by an error; then the run counts as failed there.
    """
    names = job["cell"].get("report_to", ())
    if not names:
        yield None
        return
    directory = RunPaths(paths.directory.resolve().parents[1])
    # on a cluster the folders are a node's own; the driver's names are in the job
    suite = job.get("suite", directory.directory.name)
    run = run_of_cell(job["key"], directory, suite=suite, settings=settings_of(job["axes"], job))
    tracking = Tracking(names)
    try:
        tracking.start(replace(run, group=job.get("run", run.group)))
        yield tracking
    finally:
        tracking.close()


def finished(tracking: Tracking | None, paths: CellPaths, result: CellResult) -> CellResult:
    """Tell ``tracking`` of ``result``; the result with a warning for each tracker that failed."""
    if tracking is None:
        return result
    tell_of(tracking, log_of(result, paths), result)
    ended = tracking.close()
    handles = {name: found[0] for name, found in ended.handles.items() if found}
    write_json(paths.tracking, handles)
    audit = replace(result.audit, warnings=(*result.audit.warnings, *ended.warnings))
    return replace(result, audit=audit)


def tell_of(tracking: Tracking, log: Iterable[Mapping[str, float]], result: CellResult) -> None:
    """Send what has not been sent of the training's log, then the cell's metrics.

    A stage that an earlier cell had done, and a backend that cannot report its steps, told nothing
    so far.
    """
    for record in log:
        tracking.log(record)
    tracking.end(Ending(ok=result.status == "ok", metrics=metrics_of(result)))


def run_of_cell(
    key: str, paths: RunPaths, *, suite: str, settings: dict[str, Scalar]
) -> TrackedRun:
    """How trackers know a cell: under its key, in the group of its run directory."""
    directory = paths.directory.resolve()
    paths.trackers.mkdir(parents=True, exist_ok=True)
    folder = str(directory / paths.trackers.name)
    return TrackedRun(name=key, suite=suite, group=directory.name, folder=folder, config=settings)


def settings_of(axes: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Scalar]:
    """The cell's place on each axis, and the settings in ``job["cell"]`` under dotted names."""
    cell = job.get("cell", {})
    found: dict[str, Scalar] = dict(axes)
    for block in BLOCKS:
        found.update(_flat(cell.get(block), block.removesuffix("_config")))
    found["source"] = cell.get("model", {}).get("source")
    found["primary_metric"] = cell.get("task", {}).get("primary_metric")
    return {name: value for name, value in found.items() if value is not None}


def metrics_of(result: CellResult) -> dict[str, float]:
    """The metrics of ``result`` over all its examples, with the ends of their intervals."""
    found: dict[str, float] = {}
    for value in result.values:
        if value.category is None and value.value is not None and math.isfinite(value.value):
            found[value.metric] = float(value.value)
            if value.ci_low is not None and value.ci_high is not None:
                found[f"{value.metric}_ci_low"] = value.ci_low
                found[f"{value.metric}_ci_high"] = value.ci_high
    return found


def _flat(value: object, name: str) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    elif isinstance(value, str | int | float | bool) or value is None:
        yield name, value
    else:
        yield name, json.dumps(value, default=str)
