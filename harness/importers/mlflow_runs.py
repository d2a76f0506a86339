"""Runs of MLflow, from a local folder of files or a tracking server: one run is one cell.

A run holds parameters and metrics. Parameters give the place on the axes, under the names of the
axes or those that the user maps; the last value of each metric is the cell's. MLflow keeps no score
per example, so differences of two runs have no interval and no p-value, unless the run has the
table that `mlflow.evaluate` logs, `eval_results_table.json`: then examples are paired.

Of runs that the harness itself reported, the metrics under `result/` are read with their intervals,
and the run that sums up the others is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.counting import agreeing, counted
from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.extras import need
from harness.importers.imported import Imported, plain
from harness.importers.mlflow_place import SCHEME, Place, files_allowed, place_of
from harness.importers.mlflow_table import scored_table
from harness.metrics.registry import find
from harness.registry import did_you_mean
from harness.results.result import Value, value_of
from harness.secret_texts import without_secrets
from harness.suite.schema import BASE
from harness.trackers.scalars import RESULT

AXES = ("model", "quantization", "adapter", "dataset", "seed")
"""Axes that `columns` may map to a parameter."""
FIELDS = (*AXES, "id", "prompt", "reference", "prediction")
"""What `columns` may name: axes, and fields of a table of examples."""
STAGES = ("eval_", "eval/", "test_", "test/")
"""What transformers puts before the names of metrics of an evaluation."""
UNPAIRED = (
    "MLflow holds no score per example, so a difference has no interval, no p-value and no verdict,"
    " and the metric cannot be computed again"
)


@dataclass(frozen=True)
class MlflowReading:
    """How runs of MLflow are read."""

    columns: dict[str, str] = field(default_factory=dict)
    """Axis → parameter, and field of the table of examples → its column."""
    dataset: str | None = None
    """The data set's name, where no parameter says it; default: the experiment's."""
    metric: str | None = None
    """The metric shown first."""


@dataclass
class MlflowRuns:
    """What was read."""

    cells: list[Imported] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(sources: Sequence[str | Path], reading: MlflowReading) -> MlflowRuns:
    """The runs of ``sources``.

    Raises:
        HarnessError: there is no such experiment, a parameter or a metric is missing, or the
            server does not answer.
    """
    for key in reading.columns:
        if key not in FIELDS:
            raise HarnessError(f'--columns: unknown field "{key}"', hint=did_you_mean(key, FIELDS))
    need("importing runs of MLflow", "mlflow")
    from mlflow.exceptions import MlflowException

    found = MlflowRuns()
    with files_allowed():
        for source in sources:
            try:
                _read(str(source), reading, found)
            except MlflowException as error:
                text = " ".join(without_secrets(str(error)).split())[:300]
                raise HarnessError(f"MLflow: {text}", where=str(source)) from None
    if not found.cells:
        raise HarnessError(f"no run to import in {', '.join(map(str, sources))}")
    return found


def _read(source: str, reading: MlflowReading, found: MlflowRuns) -> None:
    place = place_of(source)
    cells: list[Imported] = []
    left_out = 0
    for run in place.runs():
        if "harness.summary" in run.data.tags:
            continue
        if not run.data.metrics and run.info.status == "FINISHED":
            left_out += 1  # a parent of others, or one that only holds files
            continue
        cells.append(_cell(run, place, reading))
    found.cells += cells
    if left_out:
        found.notes.append(
            f"{source}: {counted(left_out, 'finished run')} without a metric"
            f" {agreeing(left_out, 'was', 'were')} left out"
        )
    bare = sum(1 for cell in cells if cell.warnings)
    if bare:
        found.notes.append(f"{source}: {bare} of {counted(len(cells), 'run')}: {UNPAIRED}")


def _cell(run: Any, place: Place, reading: MlflowReading) -> Imported:
    where = f"{place.source}: run {run.info.run_name} ({run.info.run_id})"
    params, metrics = dict(run.data.params), dict(run.data.metrics)
    shared: dict[str, Any] = {
        **_axes(run, place, reading, where=where),
        "source": Path(f"{SCHEME}{run.info.run_id}"),
        "content": digest(str(sorted(metrics.items())), str(sorted(params.items()))),
        "facts": {"mlflow_run": run.info.run_name, "params": params},
    }
    if run.info.status != "FINISHED":
        reason = f"the run of MLflow is {run.info.status}"
        return Imported(**shared, primary_metric=reading.metric or "", failed=reason)
    own = "harness.cell" in run.data.tags
    table = None if own else scored_table(place.client, run, reading.columns, where=where)
    by_example = table.values if table else []
    known = {value.metric for value in by_example}
    values = [*by_example, *(v for v in _values(metrics, own=own) if v.metric not in known)]
    asked = reading.metric or (params.get("primary_metric") if own else None)
    primary = _primary(asked, values, where=where)
    paired = primary in known
    return Imported(
        **shared,
        primary_metric=primary,
        values=tuple(values),
        records=table.records if table else [],
        warnings=() if paired else (f"{primary}: {UNPAIRED}",),
    )


def _axes(run: Any, place: Place, reading: MlflowReading, *, where: str) -> dict[str, Any]:
    params = run.data.params
    found: dict[str, str] = {}
    for axis in AXES:
        name = reading.columns.get(axis, axis)
        if name in params:
            found[axis] = params[name]
        elif axis in reading.columns:
            hint = did_you_mean(name, params)
            raise HarnessError(f'no parameter "{name}"', where=where, hint=hint)
    if "model" not in found:
        hint = f"Say which parameter is the model: --columns model=NAME. {did_you_mean('', params)}"
        raise HarnessError("no parameter `model`", where=where, hint=hint)
    # the name of the run is what its author tells it from the others by
    adapter = plain(found.get("adapter") or run.info.run_name)
    experiment = place.experiments.get(run.info.experiment_id, run.info.experiment_id)
    return {
        "model": plain(found["model"]),
        "quantization": plain(found.get("quantization", "none")),
        "adapter": adapter,
        "dataset": plain(found.get("dataset") or reading.dataset or experiment),
        "seed": None if adapter == BASE else _seed(found.get("seed", "0"), where),
    }


def _seed(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise HarnessError(
            f'the parameter of the seed is "{text}", not a whole number', where=where
        )
    return int(text)


def _values(metrics: Mapping[str, float], *, own: bool) -> list[Value]:
    """The cell's values; those that are not finite are missing, as MLflow holds no reason."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    if own:
        return list(_own_values(finite))
    return [_foreign_value(name, value) for name, value in sorted(finite.items())]


def _own_values(metrics: Mapping[str, float]) -> Iterator[Value]:
    ours = {
        name.removeprefix(f"{RESULT}/"): value
        for name, value in metrics.items()
        if name.startswith(f"{RESULT}/")
    }
    ends = {f"{name}_ci_{end}" for name in ours for end in ("low", "high")}
    for name, value in ours.items():
        if name not in ends:
            low, high = ours.get(f"{name}_ci_low"), ours.get(f"{name}_ci_high")
            made = value_of(name, value)
            whole = low is not None and high is not None
            yield replace(made, ci_low=low, ci_high=high) if whole else made


def _foreign_value(name: str, value: float) -> Value:
    """A metric of somebody else's: its direction is known where we have one of that name."""
    short = next((name.removeprefix(s) for s in STAGES if name.startswith(s)), name)
    called = name.replace("/", "_")
    known = find(called) or find(short)
    direction = known.higher_is_better if known else None
    signature = f"{name}|mlflow"
    return Value(called, value, higher_is_better=direction, signature=signature)


def _primary(asked: str | None, values: Sequence[Value], *, where: str) -> str:
    names = [value.metric for value in values]
    if asked is None and "eval_loss" in names:
        return "eval_loss"
    if asked is None:
        hint = f"Name one: --metric NAME. {did_you_mean('', names)}"
        raise HarnessError("no metric to compare by was named", where=where, hint=hint)
    called = asked.replace("/", "_")
    if called not in names:
        raise HarnessError(f'no metric "{asked}"', where=where, hint=did_you_mean(called, names))
    return called
