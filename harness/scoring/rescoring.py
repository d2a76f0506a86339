"""Scores computed again from stored predictions: a metric's fix costs no training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from harness.errors import DamagedFile, HarnessError
from harness.metrics.prediction import Prediction
from harness.metrics.registry import find
from harness.plan.cell import cell_of_record
from harness.plan.task import Task, task_of_record
from harness.results.answers import check_companion, table_text
from harness.results.companions import draft_of, put_in_place, table_of
from harness.results.paths import CellPaths, RunPaths, write_bytes
from harness.results.reading import AGAIN
from harness.results.result import CellResult, Value, save_result
from harness.results.run import Run
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.extra import code_sources
from harness.scoring.scoring import score_records, signatures_of
from harness.scoring.side_by_side import processes, side_by_side
from harness.suite.schema import Evaluation

WORTH_FORKING = 10_000
"""Answers that take seconds to score; with fewer the processes would cost more than they save."""


class Change(NamedTuple):
    """A metric whose value is another one now."""

    metric: str
    before: float | None
    """None: it was not there."""
    after: float | None
    """None: it is not there any more."""


class Rescored(NamedTuple):
    """What scoring a cell again changed."""

    key: str
    answers: int
    read_differently: int
    """Answers of which another label, number or reasoning is read now."""
    changes: tuple[Change, ...]


def rescore(
    run: Run, *, only_outdated: bool = False, code: Collection[str] | None = ()
) -> list[Rescored]:
    """Read and score the finished cells of ``run`` again, on disk; what changed in each.

    Measurements (latency, memory, training time) stay as they were measured. Nothing is written
    before the predictions of every cell are known to be whole.

    Args:
        run: A run as it was loaded; load it again to see the new scores.
        only_outdated: Leave cells whose metrics were all computed as they are now.
        code: The metrics that may be loaded as code, such as those that a suite of yours names; a
            run comes from anyone, and names files and modules of its own. None allows all.

    Raises:
        HarnessError: predictions are missing, damaged or fewer than the result counted.
    """
    cells = [
        cell for cell in run.cells if cell.is_ours and (not only_outdated or is_outdated(cell))
    ]
    for cell in cells:
        if "predictions.jsonl" in cell.companions:  # its hash says as much as reading it
            check_companion(cell, run.paths(cell), run.paths(cell).predictions)
        else:
            _whole_predictions(run, cell)
        _refuse_code(run, cell, code)
    done = side_by_side(partial(_score_again, run), cells, most=_at_once(cells))
    return [one for one in done if one is not None]


def _at_once(cells: Sequence[CellResult]) -> int:
    """How many processes score ``cells``: several where that saves seconds and costs no memory."""
    if sum(cell.answers for cell in cells) < WORTH_FORKING:
        return 1
    if any(_task(cell).evaluation.metrics for cell in cells):
        return 1  # a metric of the suite's own may load a model, once for each process
    return processes()


def _score_again(run: Run, cell: CellResult) -> Rescored | None:
    """Read and score one cell again, on disk; None for one without answers."""
    records = _whole_predictions(run, cell)
    if not records:
        return None
    read_before = [_reading(record) for record in records]
    result = _rescored(cell, records)
    _save(RunPaths(run.directory).cell(cell.key), result, records)
    return _summary(cell, result, records, read_before)


def _refuse_code(run: Run, cell: CellResult, allowed: Collection[str] | None) -> None:
    """Refuse to run code that the stored result names and nobody here has asked for.

    Raises:
        HarnessError: a metric of the cell is a module that is not ``allowed``.
    """
    if allowed is None:
        return
    for source in code_sources(_task(cell).evaluation):
        if source not in allowed:
            what = f'its scores need the code of the metric "{source}", which the run names'
            hint = "If you trust this run, allow it: harness score RUN --metric-code"
            raise HarnessError(what, where=str(run.paths(cell).result), hint=hint)


def _save(paths: CellPaths, result: CellResult, records: Sequence[Prediction]) -> None:
    """Replace the answers of a finished cell and its result, which belong together.

    Killed between the two, the next reader puts the answers in place: see `finish_replacing`.
    """
    content, path = table_text(records), paths.predictions
    draft = draft_of(path)
    write_bytes(draft, content)
    companions = {**result.companions, path.name: table_of(content)}
    save_result(paths, replace(result, companions=companions))
    put_in_place(path)  # a report that reads the run meanwhile may have done it


def _whole_predictions(run: Run, cell: CellResult) -> list[Prediction]:
    """The predictions of ``cell``, as many as its result was computed from.

    Raises:
        HarnessError: the file is missing; `Run.predictions` refuses one with fewer.
    """
    records = run.predictions(cell)
    if not records and cell.answers:
        path = run.paths(cell).predictions
        what = "no answers" if path.is_file() else "no such file"
        hint = "Restore the file, or run the cell again. Nothing was scored or overwritten."
        found = f"{what}; result.json was computed from {cell.answers}"
        raise HarnessError(found, where=str(path), hint=hint)
    return records


def _reading(record: Prediction) -> tuple[object, ...]:
    keys = ("predicted_label", "extracted", "reasoning_chars")
    return tuple(record.get(key) for key in keys)


def _summary(
    old: CellResult, new: CellResult, records: Sequence[Prediction], before: Sequence[object]
) -> Rescored:
    was, now = ({v.metric: v.value for v in r.values if v.category is None} for r in (old, new))
    changes = [
        Change(name, was.get(name), now.get(name))
        for name in dict.fromkeys([*now, *was])
        if was.get(name) != now.get(name)
    ]
    differently = sum(a != _reading(r) for a, r in zip(before, records, strict=True))
    return Rescored(old.key, len(records), differently, tuple(changes))


def is_outdated(cell: CellResult) -> bool:
    """Whether some metric of a finished cell is new, or was computed in another way than now.

    A metric that is not there any more, such as one of a plug-in, is no reason.
    """
    if not cell.is_ours:
        return False
    now = signatures_of(_task(cell))
    return any(cell.metric_signatures.get(name) != signature for name, signature in now.items())


def _task(result: CellResult) -> Task:
    """What the scores depend on: the cell's own, or what imported answers recorded."""
    try:
        if result.provenance.cell:
            return cell_of_record(result.provenance.cell).task
        stored = dict(result.provenance.task)
        return task_of_record(stored, Evaluation(**stored.pop("evaluation")))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        what = f"is damaged: provenance: {str(error).splitlines()[0]}"
        raise DamagedFile(what, where=f"result.json of {result.key}", hint=AGAIN) from None


def _rescored(result: CellResult, records: list[Prediction]) -> CellResult:
    task = _task(result)
    score_records(records, task)
    signatures = signatures_of(task)
    kept = tuple(value for value in result.values if _is_kept(value, signatures))
    return replace(
        result,
        values=(*aggregate(records, task, result.trivial), *kept),
        confusion=confusion_record(records, task.labels) if task.labels else None,
        metric_signatures=signatures,
    )


def _is_kept(value: Value, computed: dict[str, str]) -> bool:
    """Whether predictions cannot give the value again: a measurement, or a metric unknown here."""
    record = find(value.metric)
    return not record.is_scored if record else value.metric not in computed
