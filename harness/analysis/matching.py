"""Which cells stand on the two sides of a contrast, seed by seed, and which are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.comparable import Scored, identity, incomparable, other_settings
from harness.analysis.difference import EXAMPLES
from harness.analysis.seeds import covered, seed_pairs
from harness.counting import counted
from harness.metrics.prediction import Records
from harness.results.result import CellResult

AXES = ("model", "quantization", "adapter")
"""The axes with contrasts. Data sets and seeds have none: a contrast has a row for each data set,
and seeds are random draws inside it."""
Read = Callable[[CellResult], Records]
"""The records of a cell by example id."""


@dataclass(frozen=True)
class Variants:
    """The cells of two variants that agree in everything but the axis."""

    name: str
    pairs: Mapping[int | None, tuple[CellResult, CellResult]]
    """Seed → both cells; None where neither was trained."""
    in_order: bool = False
    """Whether no seed is shared, so that seeds are paired in order."""

    @property
    def is_untouched(self) -> bool:
        """Whether both sides are untouched models; one that loads an adapter is not."""
        return all(cell.is_baseline for pair in self.pairs.values() for cell in pair)


def covers(kept: Sequence[Variants], seeds: int) -> str:
    """What the interval of a mean over ``kept`` covers, in words."""
    if seeds < 2:
        return EXAMPLES
    ordered = any(each.in_order for each in kept)
    return (
        "examples and"
        f" {counted(seeds, 'seed')}{', paired in order: none is shared' if ordered else ''}"
    )


def trained_apart(found: list[Variants], lost: Counter[str]) -> list[Variants]:
    """``found`` without the untouched models where there are trained ones: they go to ``lost``.

    What 4 bits cost an untouched model and what they cost a fine-tuned one are two questions. Their
    mean answers neither: a model that fine-tuning repairs would be charged for what it repaired.
    """
    trained = [each for each in found if not each.is_untouched]
    if not trained:
        return found
    untouched = sum(2 * len(each.pairs) for each in found if each.is_untouched)
    if untouched:
        lost["untouched models, which fine-tuned ones are not averaged with"] += untouched
    return trained


def matched(
    axis: str, values: tuple[str, str], cells: Sequence[CellResult], lost: Counter[str]
) -> list[Variants]:
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
        found.append(Variants(rest, dict(zip(keys, paired, strict=True)), in_order))
    return found


def comparable(
    variants: Sequence[Variants], read: Read, lost: Counter[str], known: dict[str, int]
) -> list[Variants]:
    """The variants whose sides are comparable example by example.

    Args:
        variants: Pairs of variants.
        read: Gives the records of a cell.
        lost: Counts what is not comparable, by reason.
        known: Cell key → `identity` of its records, filled here and used again.
    """
    kept = []
    for each in variants:
        cells = [cell for pair in each.pairs.values() for cell in pair]
        first = Scored(cells[0], read(cells[0]))
        others = [Scored(cell, read(cell)) for cell in cells[1:]]
        for one in (first, *others):
            if one.result.key not in known:
                known[one.result.key] = identity(one.records) if one.records else 0
        alike = known[first.result.key]
        reasons = (
            (
                None
                if alike and known[other.result.key] == alike
                else incomparable(first.records, other.records)
            )
            or other_settings(first, other)
            for other in others
        )
        reason = next((text for text in reasons if text), None)
        if reason:
            lost[reason] += len({cell.key for cell in cells})
        else:
            kept.append(each)
    return kept


def without_gaps(variants: Sequence[Variants], lost: Counter[str]) -> list[Variants]:
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
