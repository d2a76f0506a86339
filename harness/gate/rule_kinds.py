"""The gate's lanes: one rule on the cells of one row, now and in the baseline.

*paired* fails only when the whole interval of the paired difference lies beyond the margin, and
the test agrees.
*exact* is equality within a tolerance on the same machine. *percentage* is for memory and speed.
*static* holds without a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.analysis.difference import Criteria, Delta, Seeds, difference
from harness.analysis.family import noise_floor
from harness.analysis.flips import flips
from harness.analysis.seeds import seed_pairs
from harness.gate.baseline import CellSnapshot, sides
from harness.gate.speed import doubt, has_reference, mean, relative, unit
from harness.metrics.registry import direction_of, find
from harness.suite.gate_rules import PREDICTIONS, Rule


class Finding(NamedTuple):
    """What a rule found in one row."""

    outcome: str
    """One of the gate's `OUTCOMES`."""
    text: str
    """In one sentence."""
    delta: Delta | None = None
    regressions: tuple[str, ...] = ()
    """Ids of the examples that lost most, the worst first."""


Lane = Callable[[Rule, str, Sequence[CellSnapshot], Sequence[CellSnapshot]], Finding]
"""A rule, its metric, a row's cells of the run and of the baseline → what was found."""


def paired(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot],
    *, family: int,
) -> Finding:  # fmt: skip
    """The interval of the difference on the same examples, one of ``family`` that hold together."""
    broken = _not_numbers(metric, old, new)
    if broken:
        return broken
    before, after = sides(old), sides(new)
    confidence = 1 - (1 - rule.confidence) / family
    up = direction(metric, [*new, *old])
    noise = noise_floor(cell.noise for cell in (*old, *new))
    criteria = Criteria(rule.margin, noise, confidence, {metric: up})
    delta = difference(metric, before, after, criteria=criteria, labels=new[0].labels)
    if delta is None:
        return Finding("no-examples", f"no example has a {metric} on both sides")
    if not math.isfinite(delta.delta):
        return Finding("not-a-number", f"the difference is {delta.delta}")
    if up is None:
        return _no_direction(metric)
    found = _judged(rule, delta, criteria.fewest)
    return found._replace(delta=delta, regressions=_worst(before, after, metric, up=up))


def direction(metric: str, cells: Sequence[CellSnapshot]) -> bool | None:
    """Whether a gain is a rise of ``metric``: by the registry, else as all of ``cells`` say."""
    stored = {cell.directions[metric] for cell in cells if metric in cell.directions}
    return direction_of(metric, {metric: stored.pop()} if len(stored) == 1 else None)


def _no_direction(metric: str) -> Finding:
    text = f"nobody says whether a higher {metric} is better; declare it in `evaluation.metrics`"
    return Finding("not-comparable", text)


def _is_speed(metric: str) -> bool:
    record = find(metric)
    return record is not None and record.same_hardware


def _not_numbers(
    metric: str, old: Sequence[CellSnapshot], new: Sequence[CellSnapshot]
) -> Finding | None:
    """A score that is no finite number can be compared with nothing: it is never a regression."""
    for side, cells in (("the baseline", old), ("the run", new)):
        for cell in cells:
            scores = cell.scores.get(metric, [])
            ids = cell.examples.get("id", [])
            found = [i for i, s in zip(ids, scores, strict=False) if not math.isfinite(s or 0.0)]
            if found:
                text = f"{cell.name}: {metric} is no number for {len(found)} examples in {side}"
                return Finding("not-a-number", f"{text}, first {found[0]}")
    return None


def _judged(rule: Rule, delta: Delta, fewest: int) -> Finding:
    up = delta.higher_is_better
    loss, least, most = (
        (-delta.delta, -delta.high, -delta.low) if up else (delta.delta, delta.low, delta.high)
    )
    size = f"{delta.delta:+.4g} [{delta.low:+.4g}, {delta.high:+.4g}] on {delta.n} examples"
    if delta.won == delta.lost == 0 and loss == 0:
        return Finding("pass", f"every score is unchanged on {delta.n} examples")
    if delta.units < fewest:
        text = f"Δ {size}: {delta.units} independent examples tell nothing at this level, {fewest}"
        return Finding("undecided", f"{text} may")
    if delta.verdict == "worse":
        return Finding("regression", f"Δ {size}, a loss of more than {rule.margin:g}")
    if delta.verdict == "better" and least < -rule.margin:
        outdated = rule.on_improved == "require-update"
        return Finding("baseline-outdated" if outdated else "improved", f"Δ {size}")
    if most <= rule.margin:
        return Finding("pass", f"Δ {size}: a loss of more than {rule.margin:g} is excluded")
    if delta.n < rule.min_examples:
        return Finding("undecided", f"Δ {size}: too few examples to exclude a loss of {most:.3g}")
    return Finding("pass", f"Δ {size}: a loss of more than {most:.3g} is excluded")


def _worst(
    before: Seeds, after: Seeds, metric: str, *, up: bool, count: int = 5
) -> tuple[str, ...]:
    found = [flips(b, a, metric, directions={metric: up}) for b, a in seed_pairs(before, after)]
    lost = [flip for each in found if each for flip in each.regressions]
    ordered = sorted(lost, key=lambda flip: (-flip.loss, flip.id))
    return tuple(dict.fromkeys(flip.id for flip in ordered))[:count]


def exact(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot]
) -> Finding:
    """Equality within the tolerance, on the same machine and packages."""
    for now, then in zip(new, old, strict=True):
        if now.hardware != then.hardware or now.packages != then.packages:
            other = "machine" if now.hardware != then.hardware else "packages"
            text = f"the baseline is of another {other}: equality is not expected"
            return Finding("not-compared", text)
        pair = _changed_share(now, then) if metric == PREDICTIONS else _both(metric, now, then)
        broken = _broken(metric, pair)
        if broken:
            return broken
        change = abs(pair[1] - pair[0])  # type: ignore[operator]
        if change > rule.tolerance:
            text = f"{now.name}: was {pair[0]:.6g}, is {pair[1]:.6g}, tolerance {rule.tolerance:g}"
            return Finding("regression", text)
    return Finding("pass", f"equal within {rule.tolerance:g}")


def _changed_share(now: CellSnapshot, then: CellSnapshot) -> tuple[float | None, float | None]:
    texts = list(zip(now.examples["text"], then.examples["text"], strict=True))
    return 0.0, sum(a != b for a, b in texts) / len(texts)


def _both(metric: str, now: CellSnapshot, then: CellSnapshot) -> tuple[float | None, float | None]:
    return then.values.get(metric), now.values.get(metric)


def _broken(metric: str, pair: tuple[float | None, float | None]) -> Finding | None:
    for side, value in zip(("the baseline", "the run"), pair, strict=True):
        if value is None:
            return Finding("missing-cell", f"{metric} has no value in {side}")
        if not math.isfinite(value):
            return Finding("not-a-number", f"{metric} is {value} in {side}")
    return None


def percentage(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot]
) -> Finding:
    """The change of a measurement in per cent, on the same hardware."""
    if {c.hardware for c in new} != {c.hardware for c in old}:
        text = "measured on other hardware: not compared"
        return Finding("not-compared", text)
    for side, cells in (("the baseline", old), ("the run", new)):
        if not has_reference(metric, cells):
            text = f"{metric} has no reference work beside it in {side}, of an older version"
            return Finding("not-comparable", text)
    pair = relative(metric, old), relative(metric, new)
    broken = _broken(metric, pair)
    if broken:
        return broken
    then, now = (value or 0.0 for value in pair)
    if then == 0:
        return Finding("not-compared", f"{metric} is 0 in the baseline")
    up = direction(metric, [*new, *old])
    if up is None:
        return _no_direction(metric)
    change = 100 * (now - then) / abs(then)
    worse = -change if up else change
    size = f"{change:+.1f}% ({then:.4g} → {now:.4g} {unit(metric)})"
    text = f"{size}, tolerance {rule.tolerance:g}%"
    if worse <= rule.tolerance:
        return Finding("improved" if worse < -rule.tolerance else "pass", text)
    times = now / then if not up else then / now if now else math.inf
    excuse = doubt(metric, times, 1 + rule.tolerance / 100, new, old) if _is_speed(metric) else None
    return Finding("undecided", f"{text}; {excuse}") if excuse else Finding("regression", text)


def static(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot]
) -> Finding:
    """A bound that holds without a baseline."""
    value = mean(metric, new)
    limit = rule.limit or 0.0
    broken = _broken(metric, (0.0, value))
    if broken:
        return broken
    up = direction(metric, new)
    if up is None:
        return _no_direction(metric)
    bad = (value or 0.0) < limit if up else (value or 0.0) > limit
    text = f"{value:.4g}, limit {limit:g}"
    return Finding("regression" if bad else "pass", text)
