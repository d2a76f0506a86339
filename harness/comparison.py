"""Two runs or two cells, joined and compared example by example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.compare import Criteria, Delta, Records, differences, incomparable
from harness.errors import HarnessError
from harness.paths import CellPaths
from harness.results import CellResult, load_result, load_run, read_predictions

AXES = ("model", "quantization", "adapter", "dataset", "seed")


@dataclass(frozen=True)
class Scored:
    """One cell and its records by example id."""

    result: CellResult
    records: Records


@dataclass(frozen=True)
class Pair:
    """Two cells side by side."""

    first: Scored
    second: Scored
    reason: str | None
    """Why they cannot be compared; None if they can."""
    deltas: dict[str, Delta]
    """Metric → second minus first."""

    @property
    def name(self) -> str:
        """What the two share, and what sets them apart."""
        a, b = (
            [str(getattr(side.result, axis)) for axis in AXES] for side in (self.first, self.second)
        )
        parts = [x if x == y else f"{x} → {y}" for x, y in zip(a, b, strict=True)]
        return ", ".join(part for part in parts if part != "None")


def compare(first: Path, second: Path, *, margin: float = 0.0) -> list[Pair]:
    """The pairs of ``first`` and ``second``: both run directories, or both cell directories.

    Raises:
        HarnessError: a directory is neither, or the two runs share no cell.
    """
    if _is_cell(first) and _is_cell(second):
        return [_pair(_cell(first), _cell(second), margin)]
    left, right = ({_axes(s): s for s in _run(path)} for path in (first, second))
    shared = [axes for axes in left if axes in right]
    if not shared:
        hint = "Compare two cells instead: RUN/cells/KEY_A RUN/cells/KEY_B."
        raise HarnessError(f"{first} and {second} share no scored cell", hint=hint)
    return [_pair(left[axes], right[axes], margin) for axes in shared]


def as_records(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """One plain record per pair and metric, or per pair that cannot be compared."""
    found: list[dict[str, Any]] = []
    for pair in pairs:
        shared = {
            "first": pair.first.result.key,
            "second": pair.second.result.key,
            "pair": pair.name,
            "not_comparable": pair.reason,
        }
        deltas = [asdict(delta) for delta in pair.deltas.values()]
        found += [{**shared, **delta} for delta in deltas] or [shared]
    return found


def _pair(first: Scored, second: Scored, margin: float) -> Pair:
    reason = incomparable(first.records, second.records) or _other_settings(first, second)
    labels = (first.result.confusion or {}).get("labels", ())
    deltas = (
        {}
        if reason
        else differences(
            [first.records], [second.records], criteria=Criteria(margin, _floor(first, second)),
            labels=labels,
        )
    )  # fmt: skip
    return Pair(first, second, reason, deltas)


def _floor(first: Scored, second: Scored) -> dict[str, float]:
    """The noise floor of the pair: the larger of what was measured on either side."""
    floors: dict[str, float] = {}
    for side in (first, second):
        for metric, value in side.result.noise.get("floor", {}).items():
            floors[metric] = max(value, floors.get(metric, 0.0))
    return floors


def _other_settings(first: Scored, second: Scored) -> str | None:
    """The first metric signature or generation setting that differs."""
    ours, theirs = (
        {v.metric: v.signature for v in side.result.values if v.signature}
        for side in (first, second)
    )
    for metric in ours.keys() & theirs.keys():
        if ours[metric] != theirs[metric]:
            return f"{metric} was computed as {ours[metric]} and as {theirs[metric]}"
    a, b = (side.result.provenance.get("cell", {}).get("generation") for side in (first, second))
    return f"generation settings differ: {a} and {b}" if a != b else None


def _is_cell(path: Path) -> bool:
    return CellPaths(path).result.is_file()


def _cell(path: Path) -> Scored:
    result = load_result(CellPaths(path).result)
    if result is None:
        raise HarnessError("result.json cannot be read", where=str(path))
    return Scored(result, {r["id"]: r for r in read_predictions(CellPaths(path))})


def _run(path: Path) -> Iterator[Scored]:
    try:
        run = load_run(path)
    except FileNotFoundError:
        hint = "Give two directories that `harness run` wrote, or two of their cells/KEY folders."
        raise HarnessError("neither a run nor a cell", where=str(path), hint=hint) from None
    for cell in run.cells:
        if cell.status == "ok":
            yield Scored(cell, {r["id"]: r for r in run.predictions(cell)})


def _axes(scored: Scored) -> tuple[Any, ...]:
    return tuple(getattr(scored.result, axis) for axis in AXES)
