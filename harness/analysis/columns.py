"""The records of one cell as columns: scores in an array, what was read once and not for each pair.

A report of ten variants compares each with its baseline, with every other one and along each axis,
in several metrics. Looking every score up by its example's id took half of the report's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.metrics.accounting import is_parsed
from harness.metrics.prediction import CellRecords, Prediction, Records

Floats = NDArray[np.float64]
T = TypeVar("T")


def ids_of(records: Records) -> list[str]:
    """The examples, in their order; not to be changed."""
    return kept(records, "ids", lambda: list(records))


def field_of(records: Records, name: str) -> list[object]:
    """The field ``name`` of each record, None where it is absent; not to be changed."""
    return kept(records, f"field {name}", lambda: [r.get(name) for r in records.values()])


def scores_in(records: Records, metric: str) -> Floats:
    """The score of each record in ``metric``; NaN, which no score is, where it has none."""
    return kept(
        records, f"scores {metric}", lambda: _numbers(_score(metric, r) for r in records.values())
    )


def parsed_in(records: Records) -> Floats:
    """1 for each answer in which a number or label was found, 0 for the others, else NaN."""
    return kept(records, "parsed", lambda: _numbers(_parsed(r) for r in records.values()))


def aligned(column: Floats, records: Records, ids: Sequence[str]) -> Floats:
    """``column`` of ``records`` in the order of ``ids``; NaN for an id that has no record."""
    if ids_of(records) == ids:
        return column
    place = kept(records, "places", lambda: {i: k for k, i in enumerate(records)})
    places = np.array([place.get(i, len(place)) for i in ids], np.intp)
    return np.append(column, np.nan)[places]


def kept(records: Records, name: str, compute: Callable[[], T]) -> T:
    """What ``compute`` gives, computed once for all who ask for ``name`` of these records."""
    if not isinstance(records, CellRecords):  # part of a cell's records, or made by hand
        return compute()
    if name not in records.kept:
        records.kept[name] = compute()
    found: T = records.kept[name]
    return found


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _score(metric: str, record: Prediction) -> float | None:
    return record.get("scores", {}).get(metric)


def _parsed(record: Prediction) -> float | None:
    parsed = is_parsed(record)
    return None if parsed is None else float(parsed)
