"""The four kinds of gate rules. Each compares the cells of one row with those of the baseline.

- *paired*: fails only if the whole interval of the paired difference lies beyond the margin and
  the test agrees.
- *exact*: equality within a tolerance, on the same machine.
- *percentage*: for memory and speed.
- *static*: a bound that needs no baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.analysis.difference import Criteria, Delta, Seeds, difference
from harness.analysis.family import noise_floor
from harness.analysis.flips import flips
from harness.analysis.seeds import seed_pairs
from harness.counting import counted
from harness.gate.baseline import CellSnapshot, sides
from harness.gate.speed import has_reference, load_excuse, mean, relative, unit
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


RuleKind = Callable[[Rule, str, Sequence[CellSnapshot], Sequence[CellSnapshot]], Finding]
"""Rule, metric, the row's cells in the run, the row's cells in the baseline → the finding."""


def paired(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot],
    *, family: int,
) -> Finding:  # fmt: skip
    """Judge the paired difference; ``family`` is how many such rules the check applies in all."""
    broken = _not_numbers(metric, old, new)
    if broken:
        return broken
    before, after = sides(old), sides(new)
    # Bonferroni: all intervals of one check hold together at the rule's confidence
    confidence = 1 - (1 - rule.confidence) / family
    up = direction(metric, [*new, *old])
    noise = noise_floor(cell.noise for cell in (*old, *new))
    criteria = Criteria(rule.margin, noise, confidence, {metric: up})
    delta = difference(metric, before, after, criteria=criteria, labels=new[0].labels)
    if delta is None:
        text = f"no example has a {metric} score in both the run and the baseline"
        return Finding("no-examples", text)
    if not math.isfinite(delta.delta):
        return Finding("not-a-number", f"the difference is {delta.delta}")
    if up is None:
        return _no_direction(metric)
    finding = _judged(rule, delta, criteria.fewest)
    return finding._replace(delta=delta, regressions=_worst(before, after, metric, up=up))


def direction(metric: str, cells: Sequence[CellSnapshot]) -> bool | None:
    """Whether a higher ``metric`` is better: from the registry, else as all ``cells`` declare."""
    stored = {cell.directions[metric] for cell in cells if metric in cell.directions}
    return direction_of(metric, {metric: stored.pop()} if len(stored) == 1 else None)


def _no_direction(metric: str) -> Finding:
    text = f"it is not declared whether a higher {metric} is better: add it to `evaluation.metrics`"
    return Finding("not-comparable", text)


def _is_speed(metric: str) -> bool:
    record = find(metric)
    return record is not None and record.same_hardware


def _not_numbers(
    metric: str, old: Sequence[CellSnapshot], new: Sequence[CellSnapshot]
) -> Finding | None:
    """A finding if a score is NaN or infinite: it cannot be compared, so it is no regression."""
    for side, cells in (("the baseline", old), ("the run", new)):
        for cell in cells:
            scores = cell.scores.get(metric, [])
            ids = cell.examples.get("id", [])
            broken = [i for i, s in zip(ids, scores, strict=False) if not math.isfinite(s or 0.0)]
            if broken:
                text = (
                    f"{cell.name}: {metric} is not finite for {counted(len(broken), 'example')} in"
                    f" {side}"
                )
                return Finding("not-a-number", f"{text}, the first is {broken[0]}")
    return None


def _judged(rule: Rule, delta: Delta, fewest: int) -> Finding:
    up = delta.higher_is_better
    loss, least, most = (
        (-delta.delta, -delta.high, -delta.low) if up else (delta.delta, delta.low, delta.high)
    )
    size = (
        f"{delta.delta:+.4g} [{delta.low:+.4g}, {delta.high:+.4g}] on {counted(delta.n, 'example')}"
    )
    if delta.won == delta.lost == 0 and loss == 0:
        return Finding("pass", f"every score is unchanged on {counted(delta.n, 'example')}")
    if delta.units < fewest:
        need = f"{delta.units}, and at least {fewest} are needed at this confidence"
        return Finding("undecided", f"Δ {size}: too few independent examples: {need}")
    if delta.verdict == "worse":
        return Finding("regression", f"Δ {size}, a loss of more than {rule.margin:g}")
    if delta.verdict == "better" and least < -rule.margin:
        outdated = rule.on_improved == "require-update"
        return Finding("baseline-outdated" if outdated else "improved", f"Δ {size}")
    # an interval within the margin passes however few examples: a large loss would have shown
    if most <= rule.margin:
        return Finding("pass", f"Δ {size}: a loss of more than {rule.margin:g} is excluded")
    if delta.n < rule.min_examples:
        return Finding("undecided", f"Δ {size}: too few examples to exclude a loss of {most:.3g}")
    return Finding("pass", f"Δ {size}: a loss of more than {most:.3g} is excluded")


def _worst(
    before: Seeds, after: Seeds, metric: str, *, up: bool, count: int = 5
) -> tuple[str, ...]:
    by_seed = [flips(b, a, metric, directions={metric: up}) for b, a in seed_pairs(before, after)]
    lost = [flip for flipped in by_seed if flipped for flip in flipped.regressions]
    ordered = sorted(lost, key=lambda flip: (-flip.loss, flip.id))
    return tuple(dict.fromkeys(flip.id for flip in ordered))[:count]


def exact(
    rule: Rule, metric: str, new: Sequence[CellSnapshot], old: Sequence[CellSnapshot]
) -> Finding:
    """Equality within the tolerance, on the same machine and packages."""
    for now, then in zip(new, old, strict=True):
        if now.hardware != then.hardware or now.packages != then.packages:
            other = "on other hardware" if now.hardware != then.hardware else "with other packages"
            text = f"the baseline was recorded {other}: results need not be equal"
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
            text = f"{side} was written by an older version: no reference_ms for {metric}"
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
    # how many times as slow: milliseconds grow, tokens per second fall
    times = (then / now if now else math.inf) if up else now / then
    allowed = 1 + rule.tolerance / 100
    excuse = load_excuse(metric, times, allowed, new, old) if _is_speed(metric) else None
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
