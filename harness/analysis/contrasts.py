"""The differences between the values of an axis with everything else equal: r16 minus r8.

A pair of variants that differ in the axis alone is one answer to "is r16 better than r8"; their
mean over the rest of the matrix is the answer. What has no partner is left out and counted, and so
is a pair of untouched models where fine-tuned ones can be compared.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.averaged import averaged_difference
from harness.analysis.cost_ratios import CellPairs, CostRatio, cost_ratios
from harness.analysis.difference import Criteria, Delta
from harness.analysis.family import holm_list, noise_floor
from harness.analysis.matching import (
    Read,
    comparable,
    covers,
    matched,
    trained_apart,
    without_gaps,
)
from harness.analysis.more_examples import Spread, more_examples
from harness.analysis.together import Together, together
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.results.result import CellResult
from harness.results.run import Run
from harness.results.value import stored_directions
from harness.statistics import Estimate
from harness.suite.endpoint import SERVED

MAX_VALUES = 6
"""Up to this many values of an axis, each is compared with each; beyond, with the first alone.

Six make 15 pairs. Holm's correction over many more leaves hardly any difference to be found.
"""


@dataclass(frozen=True)
class Contrast:
    """One value of an axis against another on one data set: second minus first."""

    axis: str
    first: str
    second: str
    dataset: str
    metric: str
    delta: Delta | None
    """The mean over the pairs of variants; None if no pair could be compared."""
    variants: tuple[str, ...] = ()
    """The rest of the matrix that the mean is over: `tiny-qwen2, lora-r8`."""
    per_variant: tuple[float, ...] = ()
    """The difference within each of ``variants``."""
    seeds: int = 1
    """Training seeds that every pair has; an untrained pair counts for each."""
    costs: Mapping[str, CostRatio] = field(default_factory=dict)
    """`latency`, `memory`, `training time` → second as a multiple of first."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason → cells that are in neither side of the mean for it."""
    estimate: Estimate | None = None
    """The difference with its standard error."""
    spread: Spread | None = field(default=None, repr=False)
    """What the error of the difference is made of."""
    more_examples: int | None = None
    """More examples that would decide, under the correction of p, if the difference seen is true.
    None if it is decided, or if more examples alone would not decide it."""
    margin: float = 0.0
    """The smallest difference that matters."""
    measured: CellPairs = field(default_factory=dict, repr=False)
    """The pairs of cells that ``costs`` are of."""

    @property
    def name(self) -> str:
        """`second − first`."""
        return f"{self.second} − {self.first}"


@dataclass(frozen=True)
class AxisDifferences:
    """Every contrast of one axis."""

    axis: str
    contrasts: tuple[Contrast, ...]
    """For each pair of values, in matrix order, one for each data set."""
    together: tuple[Together, ...] = ()
    """Over the data sets that share a metric."""
    costs: Mapping[str, Mapping[str, CostRatio]] = field(default_factory=dict)
    """Name of a contrast → its cost ratios over all data sets."""
    family: int = 0
    """How many p-values Holm's correction is over: all of this axis."""
    absent: tuple[str, ...] = ()
    """Values of the axis without any result."""

    def records(self) -> list[dict[str, object]]:
        """A plain record for each contrast, then for each that is together over data sets."""
        from harness.analysis.contrast_records import axis_records

        return axis_records(self)


def axis_differences(
    run: Run,
    read: Read,
    axis: str,
    *,
    values: Sequence[str] = (),
    metrics: Mapping[str, str] | None = None,
    margin: float | None = None,
) -> AxisDifferences:
    """The contrasts of ``axis`` in ``run``, with Holm's correction over them.

    Args:
        run: A run read back.
        read: Gives the records of one of its cells.
        axis: `model`, `quantization` or `adapter`.
        values: The values to compare, in this order; default: all, in matrix order.
        metrics: Data set → the metric to compare by, where it is not the primary one.
        margin: The smallest difference that matters; default: the suite's.
    """
    cells = run.cells
    finished = {getattr(cell, axis): None for cell in cells if cell.status == "ok"}
    planned = dict.fromkeys(getattr(cell, axis) for cell in cells)
    # in matrix order; what has no result at all is named once, not once for each of its contrasts
    names = [name for name in (values or planned) if name in finished]
    absent = [name for name in (values or planned) if name not in finished]
    if not values:
        names = [name for name in names if axis == "model" or name != SERVED]
    served = {cell.model for cell in cells if cell.is_served}
    pairs = [
        (one, other)
        for one, other in itertools.combinations(names, 2)
        # a served model shares neither quantization nor adapter with a local one: no two of their
        # cells differ in the model alone. Its rows are compared with the baseline it names.
        if values or (one in served) == (other in served)
    ]
    if not values and len(names) > MAX_VALUES:
        pairs = [pair for pair in pairs if pair[0] == names[0]]
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    asked = _Asked(axis, read, metrics or {}, margin, {})
    found = [
        _contrast(asked, pair, [cell for cell in cells if cell.dataset == name])
        for pair in pairs
        for name in datasets
    ]
    return replace(_corrected(axis, [each for each in found if each]), absent=tuple(absent))


def chosen_values(run: Run, axis: str, wanted: Sequence[str]) -> list[str]:
    """The values of ``axis`` that ``wanted`` names: in full, or by a part that only one has.

    Raises:
        HarnessError: a name fits no value or several, or fewer than two are named.
    """
    known = list(dict.fromkeys(str(getattr(cell, axis)) for cell in run.cells))
    found = [_value(name, known, axis) for name in wanted]
    if len(set(found)) < 2:
        hint = f"Values of {axis}: {', '.join(known)}."
        raise HarnessError(f"a comparison along {axis} needs two of its values", hint=hint)
    return list(dict.fromkeys(found))


def _value(name: str, known: Sequence[str], axis: str) -> str:
    if name in known:
        return name
    # `r8` for `lora-r8`: a whole part between dashes, so that r1 is never taken for r16
    fits = [value for value in known if name in value.split("-")]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise HarnessError(f'"{name}" fits several values of {axis}: {", ".join(fits)}')
    hint = did_you_mean(name, known)
    raise HarnessError(f'{axis} has no value "{name}"', hint=hint)


def _corrected(axis: str, contrasts: Sequence[Contrast]) -> AxisDifferences:
    """The contrasts and what is together of them, as one family."""
    deltas = [each.delta for each in contrasts if each.delta]
    pooled = together(contrasts)
    adjusted = iter(holm_list([*deltas, *(each.fixed for each in pooled)]))
    family = len(deltas) + len(pooled)
    done = [_judged(each, next(adjusted), family) if each.delta else each for each in contrasts]
    whole = tuple(each.corrected(next(adjusted), family) for each in pooled)
    names = dict.fromkeys(each.name for each in contrasts)
    costs = {
        name: cost_ratios(
            {k: v for c in contrasts if c.name == name for k, v in c.measured.items()}
        )
        for name in names
    }
    return AxisDifferences(axis, tuple(done), whole, costs, family)


def _judged(contrast: Contrast, delta: Delta, family: int) -> Contrast:
    """``contrast`` with its corrected difference, and what would decide that."""
    more = None
    if contrast.spread is not None:
        # of the corrected verdict: one that only the correction leaves open needs examples too
        more = more_examples(
            delta, contrast.spread, margin=contrast.margin, comparisons=max(family, 1)
        )
    return replace(contrast, delta=delta, more_examples=more)


@dataclass(frozen=True)
class _Asked:
    """What all contrasts of an axis are made of."""

    axis: str
    read: Read
    metrics: Mapping[str, str]
    margin: float | None
    known: dict[str, int]
    """What `comparable` found of each cell, for the next contrast."""


def _contrast(
    asked: _Asked, values: tuple[str, str], cells: Sequence[CellResult]
) -> Contrast | None:
    """The contrast of two values on the data set of ``cells``; None if neither side has a cell."""
    lost: Counter[str] = Counter()
    variants = trained_apart(matched(asked.axis, values, cells, lost), lost)
    if not variants and not lost:
        return None
    dataset = cells[0].dataset
    metric = asked.metrics.get(dataset, cells[0].primary_metric)
    plain = Contrast(asked.axis, *values, dataset, metric, None, left_out=lost)
    pairs: CellPairs = {
        (each.name, each.pairs[seed][0].dataset, seed): each.pairs[seed]
        for each in variants
        for seed in each.pairs
    }
    plain = replace(plain, costs=cost_ratios(pairs), measured=pairs)
    kept = without_gaps(comparable(variants, asked.read, lost, asked.known), lost)
    if not kept:
        return plain
    sides = [cell for each in kept for pair in each.pairs.values() for cell in pair]
    labels = next((cell.labels for cell in sides if cell.labels), ())
    margin = asked.margin
    if margin is None:
        margin = float(sides[0].evaluation("margin") or 0)
    noise = noise_floor(cell.noise.floor for cell in sides)
    criteria = Criteria(margin, noise, directions=stored_directions(sides))
    seeds = max(len(each.pairs) for each in kept)
    found = averaged_difference(
        metric,
        [[(asked.read(a), asked.read(b)) for a, b in each.pairs.values()] for each in kept],
        covers=covers(kept, seeds), criteria=criteria, labels=labels,
    )  # fmt: skip
    if found is None:
        lost[f"{metric} is not scored on both sides"] += len(sides)
        return plain
    return replace(
        plain, delta=found.delta, variants=tuple(each.name for each in kept),
        per_variant=found.per_variant, seeds=seeds, estimate=found.estimate,
        spread=found.spread, margin=margin,
    )  # fmt: skip
