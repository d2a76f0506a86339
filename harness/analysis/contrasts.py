"""The differences between the values of an axis with everything else equal: r16 minus r8.

A pair of variants that differ in the axis alone is one answer to "is r16 better than r8"; their
mean over the rest of the matrix is the answer. What has no partner is left out and counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.averaged import averaged_difference
from harness.analysis.comparable import Scored, incomparable, other_settings
from harness.analysis.cost_ratios import CellPairs, CostRatio, cost_ratios
from harness.analysis.difference import EXAMPLES, Criteria, Delta
from harness.analysis.family import holm_list, noise_floor
from harness.analysis.seeds import covered, seed_pairs
from harness.analysis.together import Together, together
from harness.errors import HarnessError
from harness.metrics.prediction import Records
from harness.registry import did_you_mean
from harness.results.result import CellResult, Run
from harness.results.value import stored_directions
from harness.statistics import Estimate

AXES = ("model", "quantization", "adapter")
"""The axes with contrasts. Data sets and seeds have none: a contrast has a row for each data set,
and seeds are random draws inside it."""
MAX_VALUES = 6
"""Up to this many values of an axis, each is compared with each; beyond, with the first alone.

Six make 15 pairs. Holm's correction over many more leaves hardly any difference to be found.
"""
Read = Callable[[CellResult], Records]
"""The records of a cell by example id."""


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
    more_examples: int | None = None
    """More examples that would decide, if the difference seen is the true one; see `Averaged`."""
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
    pairs = list(itertools.combinations(names, 2))
    if not values and len(names) > MAX_VALUES:
        pairs = [(names[0], other) for other in names[1:]]
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    found = [
        _contrast(
            axis,
            pair,
            [c for c in cells if c.dataset == name],
            read,
            (metrics or {}).get(name),
            margin,
        )
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
    done = [replace(each, delta=next(adjusted)) if each.delta else each for each in contrasts]
    family = len(deltas) + len(pooled)
    whole = tuple(each.corrected(next(adjusted), family) for each in pooled)
    names = dict.fromkeys(each.name for each in contrasts)
    costs = {
        name: cost_ratios(
            {k: v for c in contrasts if c.name == name for k, v in c.measured.items()}
        )
        for name in names
    }
    return AxisDifferences(axis, tuple(done), whole, costs, family)


@dataclass(frozen=True)
class _Variant:
    """The cells of both sides that agree in everything but the axis."""

    name: str
    pairs: Mapping[int | None, tuple[CellResult, CellResult]]
    """Seed → both cells; None where neither was trained."""
    in_order: bool = False
    """Whether no seed is shared, so that seeds are paired in order."""


def _contrast(
    axis: str, values: tuple[str, str], cells: Sequence[CellResult], read: Read,
    metric: str | None, margin: float | None,
) -> Contrast | None:  # fmt: skip
    """The contrast of two values on the data set of ``cells``; None if neither side has a cell."""
    lost: Counter[str] = Counter()
    variants = _variants(axis, values, cells, lost)
    if not variants and not lost:
        return None
    metric = metric or cells[0].primary_metric
    plain = Contrast(axis, *values, cells[0].dataset, metric, None, left_out=lost)
    pairs: CellPairs = {
        (each.name, each.pairs[seed][0].dataset, seed): each.pairs[seed]
        for each in variants
        for seed in each.pairs
    }
    plain = replace(plain, costs=cost_ratios(pairs), measured=pairs)
    kept = _rectangle(_comparable(variants, read, lost), lost)
    if not kept:
        return plain
    sides = [cell for each in kept for pair in each.pairs.values() for cell in pair]
    labels = next((cell.labels for cell in sides if cell.labels), ())
    if margin is None:
        margin = float(sides[0].evaluation("margin") or 0)
    noise = noise_floor(cell.noise.floor for cell in sides)
    criteria = Criteria(margin, noise, directions=stored_directions(sides))
    seeds = max(len(each.pairs) for each in kept)
    found = averaged_difference(
        metric,
        [[(read(a), read(b)) for a, b in each.pairs.values()] for each in kept],
        covers=_covers(kept, seeds), criteria=criteria, labels=labels,
    )  # fmt: skip
    if found is None:
        lost[f"{metric} is not scored on both sides"] += len(sides)
        return plain
    return replace(
        plain, delta=found.delta, variants=tuple(each.name for each in kept),
        per_variant=found.per_variant, seeds=seeds, estimate=found.estimate,
        more_examples=found.more_examples, margin=margin,
    )  # fmt: skip


def _covers(kept: Sequence[_Variant], seeds: int) -> str:
    if seeds < 2:
        return EXAMPLES
    ordered = any(each.in_order for each in kept)
    return f"examples and {seeds} seeds{', paired in order: none is shared' if ordered else ''}"


def _variants(
    axis: str, values: tuple[str, str], cells: Sequence[CellResult], lost: Counter[str]
) -> list[_Variant]:
    """Pairs of variants with a result on both sides; cells without a partner go to ``lost``."""
    sides: dict[str, tuple[dict[int | None, CellResult], ...]] = {}
    for cell in cells:
        value = getattr(cell, axis)
        if value in values and cell.status == "ok":
            rest = ", ".join(str(getattr(cell, name)) for name in AXES if name != axis)
            both = sides.setdefault(rest, ({}, {}))
            both[values.index(value)][cell.seed] = cell
    found = []
    for rest, (first, second) in sides.items():
        if not first or not second:
            lost["the partner has no result"] += len(first) + len(second)
            continue
        paired = seed_pairs(first, second)
        in_order = covered(first, second, len(paired)) != covered(first, first, len(paired))
        # an untrained side has no seed of its own: the pair goes by the trained one's
        keys = [a.seed if b.seed is None else b.seed for a, b in paired]
        if in_order:
            keys = list(range(len(paired)))
        used = {cell.key for pair in paired for cell in pair}
        alone = [c for side in (first, second) for c in side.values() if c.key not in used]
        if alone:
            lost["the other side lacks the seed"] += len(alone)
        found.append(_Variant(rest, dict(zip(keys, paired, strict=True)), in_order))
    return found


def _comparable(variants: Sequence[_Variant], read: Read, lost: Counter[str]) -> list[_Variant]:
    """The variants whose sides are comparable example by example."""
    kept = []
    for each in variants:
        cells = [cell for pair in each.pairs.values() for cell in pair]
        first = Scored(cells[0], read(cells[0]))
        others = [Scored(cell, read(cell)) for cell in cells[1:]]
        reasons = (
            incomparable(first.records, other.records) or other_settings(first, other)
            for other in others
        )
        reason = next((text for text in reasons if text), None)
        if reason:
            lost[reason] += len({cell.key for cell in cells})
        else:
            kept.append(each)
    return kept


def _rectangle(variants: Sequence[_Variant], lost: Counter[str]) -> list[_Variant]:
    """The variants and seeds of the largest design without gaps; the rest goes to ``lost``.

    A mean over other seeds in each variant would confuse the two. An untrained pair has no seed
    and fits every design.
    """
    trained = [each for each in variants if set(each.pairs) != {None}]
    if not trained:
        return list(variants)
    designs = [
        (seeds, [each for each in trained if seeds <= set(each.pairs)])
        for seeds in dict.fromkeys(frozenset(each.pairs) for each in trained)
    ]
    seeds, kept = max(designs, key=lambda design: (len(design[0]) * len(design[1]), len(design[0])))
    names = {each.name for each in kept}
    for each in trained:
        unused = [s for s in each.pairs if s not in seeds or each.name not in names]
        if unused:
            lost["other variants lack the seed"] += 2 * len(unused)
    return [
        replace(each, pairs={s: each.pairs[s] for s in each.pairs if s in seeds})
        if each.name in names
        else each
        for each in variants
        if each.name in names or set(each.pairs) == {None}
    ]
