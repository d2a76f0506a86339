"""Whether two cells can be compared example by example, and which examples are left out."""

from __future__ import annotations

from dataclasses import dataclass
from operator import ne

from harness.analysis.columns import field_of, ids_of
from harness.counting import counted
from harness.metrics.prediction import Prediction, Records
from harness.results.result import CellResult


@dataclass(frozen=True)
class Scored:
    """One cell and its records by example id."""

    result: CellResult
    records: Records


def incomparable(first: Records, second: Records) -> str | None:
    """Why two sides cannot be compared example by example; None if they can.

    Examples are paired by id. Those of one side only are left out, and `left_out` counts them. The
    prompts that the models saw must be equal too, unless the sides answer in different ways: a
    trained head reads the bare text, while a baseline is asked a question.
    """
    if not first or not second:
        return "one side has no predictions"
    shared = [i for i in first if i in second]
    if not shared:
        return (
            f"no example in common: {counted(len(first), 'id')} on one side, {len(second)} on the"
            " other"
        )
    checks = {"reference": "references differ", "example_prompt": "questions differ"}
    if not all("reference" in side[shared[0]] for side in (first, second)):
        checks = {}  # a run without texts: the hash covers both
    checks["data_hash"] = "examples differ in their data"
    ours_first, theirs_first = next(iter(first.values())), next(iter(second.values()))
    alike = ours_first.get("answered_by") == theirs_first.get("answered_by")
    if alike and _is_by_server(ours_first) == _is_by_server(theirs_first):
        checks["prompt_hash"] = "rendered prompts differ"
    same = ids_of(first) == ids_of(second)
    for key, text in checks.items():
        if same:
            ours, theirs = field_of(first, key), field_of(second, key)
        else:
            ours, theirs = ([side[i].get(key) for i in shared] for side in (first, second))
        if ours != theirs:
            return f"{sum(map(ne, ours, theirs))} {text}"
    return None


def _is_by_server(record: Prediction) -> bool:
    return record.get("decoded_by") == "server"


def identity(records: Records) -> int:
    """A number, never 0, that sides with the same examples, prompts and way of asking share.

    Sides of one number are comparable without looking at each example again. A run of 1,000 cells
    has thousands of pairs along its axes.
    """
    keys = ("reference", "example_prompt", "data_hash", "prompt_hash", "answered_by")
    return hash(tuple((i, *map(r.get, keys)) for i, r in sorted(records.items()))) or 1


def left_out(first: Records, second: Records) -> str | None:
    """How many examples were paired and how many left out; None if all were paired."""
    if first.keys() == second.keys():
        return None
    n = len(first.keys() & second.keys())
    alone = f"{len(first) - n} only in the first, {len(second) - n} only in the second"
    return f"paired {counted(n, 'example')} by id; left out: {alone}"


def other_settings(first: Scored, second: Scored) -> str | None:
    """The first metric signature or generation setting that differs."""
    ours, theirs = (
        {v.metric: v.signature for v in side.result.values if v.signature}
        for side in (first, second)
    )
    for metric in ours.keys() & theirs.keys():
        if ours[metric] != theirs[metric]:
            return f"{metric} was computed in two ways: {ours[metric]} and {theirs[metric]}"
    a, b = (side.result.provenance.cell.get("generation") for side in (first, second))
    return f"generation settings differ: {a} and {b}" if a != b else None
