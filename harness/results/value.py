"""A metric's value, with all that is needed to read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from harness.metrics.registry import find
from harness.results.records import CHECKED

if TYPE_CHECKING:
    from harness.results.result import CellResult


@dataclass(frozen=True, slots=True)
class Value:
    """One metric of one cell, over all examples or over one category."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    metric: str
    value: int | float | None
    """The two types are kept apart: a count read back is still a whole number."""
    unit: str = ""
    higher_is_better: bool | None = None
    """None for facts that are neither good nor bad, such as a parameter count."""
    n: int | None = None
    """Examples the value is a mean of; None for measurements."""
    ci_low: float | None = None
    ci_high: float | None = None
    category: str | None = None
    signature: str | None = None
    """How the metric was computed, in sacreBLEU's manner."""
    note: str | None = None
    """Why the value is missing, or how it misleads."""


def value_of(
    metric: str, value: float | None, *, n: int | None = None, note: str | None = None
) -> Value:
    """The value of a registered metric, with the unit and the direction of its record."""
    record = find(metric)
    unit, direction = (record.unit, record.higher_is_better) if record else ("", None)
    return Value(metric, value, unit, direction, n, note=note)


def stored_directions(cells: Iterable[CellResult]) -> dict[str, bool | None]:
    """Metric → direction, of metrics that are not registered, as the results of ``cells`` say.

    None where they say none, or differ: then the metric is shown and not ranked.
    """
    found: dict[str, bool | None] = {}
    known: dict[str, bool] = {}
    for value in (value for cell in cells for value in cell.values):
        name = value.metric
        if name not in known:
            known[name] = find(name) is not None
        if not known[name]:
            said = value.higher_is_better
            found[name] = said if found.get(name, said) == said else None
    return found


def is_half_interval(value: Value) -> bool:
    """Whether ``value`` has one end of an interval and lacks the other."""
    return (value.ci_low is None) != (value.ci_high is None)
