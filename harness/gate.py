"""The gate: a run against a baseline, rule by rule; what is not shown to be well never passes.

Three lanes. *paired* fails only when the whole interval of the paired difference lies beyond the
margin; the intervals of one check hold together (Bonferroni), so that a mere re-run fails in at
most 2.5% of checks however many rules there are. *exact* is equality within a tolerance on the
same machine. *percentage* is for memory and speed. A rule's outcome is one of `OUTCOMES`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from harness.compare import Criteria, Delta, difference, f1_difference, seed_pairs
from harness.errors import HarnessError
from harness.flips import flips
from harness.leaderboard import SPEEDS
from harness.metrics.facts import fact
from harness.rules import PREDICTIONS, PRIMARY, Gate, Rule
from harness.snapshot import CellSnapshot, Snapshot, sides

PASS, WARN, REGRESSION, INCOMPARABLE, FAILURE = 0, -1, 1, 3, 4
OUTCOMES = {
    "pass": PASS,
    "improved": PASS,
    "new-cell": PASS,
    "undecided": WARN,
    "not-compared": WARN,
    "known-failure": WARN,
    "warned": WARN,
    "regression": REGRESSION,
    "baseline-outdated": REGRESSION,
    "new-cell-refused": INCOMPARABLE,
    "missing-cell": INCOMPARABLE,
    "skipped-cell": INCOMPARABLE,
    "not-comparable": INCOMPARABLE,
    "no-examples": INCOMPARABLE,
    "not-a-number": INCOMPARABLE,
    "cell-failed": FAILURE,
}
"""Outcome of a check → the exit code it asks for; -1 warns and passes."""
CALIBRATION = "calibration_ms"


@dataclass(frozen=True)
class Check:
    """One rule applied to one row."""

    rule: Rule
    row: str
    metric: str
    outcome: str
    text: str
    """What was found, in one sentence."""
    delta: Delta | None = None
    regressions: tuple[str, ...] = ()
    """Ids of the examples that lost most, the worst first."""

    @property
    def name(self) -> str:
        """The metric and the rule's test."""
        return f"{self.metric} ({self.rule.test})"

    @property
    def level(self) -> int:
        """0 pass, -1 warning, else the exit code that the outcome asks for."""
        return OUTCOMES[self.outcome]


@dataclass(frozen=True)
class Verdict:
    """Every check of a run."""

    suite: str
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """1 for a regression, else 4 for a failed cell, else 3 for what cannot be told, else 0."""
        levels = {check.level for check in self.checks}
        return next((c for c in (REGRESSION, FAILURE, INCOMPARABLE) if c in levels), PASS)

    def ordered(self) -> list[Check]:
        """The checks: problems first, then warnings, then the rest."""
        return sorted(self.checks, key=lambda c: (-(c.level > 0), c.level == PASS))

    @property
    def summary(self) -> str:
        """One sentence; it never says "no regression"."""
        counts: dict[str, int] = {}
        for check in self.checks:
            counts[check.outcome] = counts.get(check.outcome, 0) + 1
        said = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        deltas = [check.delta for check in self.checks if check.delta]
        if self.exit_code != PASS or not deltas:
            return f"{self.suite}: {said}"
        moved = [delta for delta in deltas if delta.won or delta.lost]
        if not moved:
            return f"{self.suite}: {said}; every paired score is unchanged"
        bound = max(_largest_loss(delta) for delta in moved)
        return f"{self.suite}: {said}; losses larger than {bound:.3g} are excluded"


def _largest_loss(delta: Delta) -> float:
    """The largest loss that a difference's interval leaves possible."""
    up = fact(delta.metric).higher_is_better is not False
    return max(0.0, -delta.low if up else delta.high)


def check(run: Snapshot, baseline: Snapshot, gate: Gate) -> Verdict:
    """Every rule of ``gate`` on every row of ``run`` or ``baseline`` that it names.

    Raises:
        HarnessError: a rule names no row at all.
    """
    new, old = run.rows(), baseline.rows()
    rows = list(dict.fromkeys([*new, *old]))
    plan = [
        (rule, row)
        for rule in gate.rules
        for row in _named(rule, rows)
        if _applies(rule, new.get(row), old.get(row))
    ]
    paired = sum(rule.test == "paired" for rule, _ in plan)
    checks = [_check(rule, row, new.get(row), old.get(row), max(1, paired)) for rule, row in plan]
    return Verdict(run.suite, tuple(checks))


def _named(rule: Rule, rows: Sequence[str]) -> list[str]:
    found = [row for row in rows if fnmatchcase(row, rule.cells)]
    if not found:
        hint = f"Rows: {', '.join(rows[:3])}, …" if rows else "The run has no cells."
        raise HarnessError(f'gate: "{rule.cells}" names no row', hint=hint)
    return found


def _applies(rule: Rule, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None) -> bool:
    """Measurements that neither side has (GPU memory on a CPU) are no checks."""
    if rule.test != "percentage":
        return True
    return any(rule.metric in cell.values for cell in (*(new or ()), *(old or ())))


def _check(
    rule: Rule, row: str, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None,
    family: int,
) -> Check:  # fmt: skip
    metric = _metric(rule, [*(new or ()), *(old or ())])
    found = _missing(rule, new, old)
    if found is None and rule.test != "static":
        found = _incomparable(metric, new or [], old or [])
    if found is not None:
        outcome, text = found
        return Check(rule, row, metric, outcome, text)
    lane = {"paired": _paired, "exact": _exact, "percentage": _percentage, "static": _static}
    return lane[rule.test](rule, row, metric, new or [], old or [], family)


def _metric(rule: Rule, cells: Sequence[CellSnapshot]) -> str:
    if rule.metric != PRIMARY:
        return rule.metric
    return next((cell.primary_metric for cell in cells if cell.primary_metric), PRIMARY)


def _missing(
    rule: Rule, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None
) -> tuple[str, str] | None:
    """Outcomes of rows that one side lacks, skipped or failed; None where both have results."""
    before = {cell.status for cell in old or ()}
    if new is None or any(cell.status == "missing" for cell in new):
        outcome = "missing-cell" if rule.on_missing == "fail" else "warned"
        return outcome, "in the baseline, and without a result in the run"
    failed = next((cell for cell in new if cell.status == "failed"), None)
    if failed is not None:
        outcome = "known-failure" if "failed" in before else "cell-failed"
        return outcome, f"{failed.name} failed: {failed.reason}"
    skipped = next((cell for cell in new if cell.status == "skipped"), None)
    if skipped is not None:
        if "ok" not in before:
            return "not-compared", f"skipped: {skipped.reason}"
        outcome = "skipped-cell" if rule.on_missing == "fail" else "warned"
        return outcome, f"skipped, and in the baseline: {skipped.reason}"
    if rule.test != "static" and "ok" not in before:
        outcome = "new-cell" if rule.on_new == "record" else "new-cell-refused"
        return outcome, "not in the baseline; `harness baseline update` records it"
    return None


def _incomparable(
    metric: str, new: list[CellSnapshot], old: list[CellSnapshot]
) -> tuple[str, str] | None:
    """Why the two sides of a row cannot be compared; None if they can."""
    if [cell.seed for cell in new] != [cell.seed for cell in old]:
        return "not-comparable", "the training seeds differ"
    for now, then in zip(new, old, strict=True):
        if not now.examples.get("id"):
            return "no-examples", f"{now.name} has no scored example"
        if now.data_hash != then.data_hash:
            return "not-comparable", "the data set changed: other examples or references"
        if now.prompt_hash != then.prompt_hash:
            return "not-comparable", "the prompts changed"
        if now.generation != then.generation:
            return "not-comparable", f"generation was {then.generation} and is {now.generation}"
        ours, theirs = now.signatures.get(metric), then.signatures.get(metric)
        if ours != theirs:
            return "not-comparable", f"{metric} was computed as {theirs} and is as {ours}"
    return None


def _paired(
    rule: Rule, row: str, metric: str, new: list[CellSnapshot], old: list[CellSnapshot],
    family: int,
) -> Check:  # fmt: skip
    before, after = sides(old), sides(new)
    confidence = 1 - (1 - rule.confidence) / family
    noise = {m: v for cell in old for m, v in cell.noise.items()}
    criteria = Criteria(rule.margin, noise, confidence)
    if metric == "f1_macro" and new[0].labels:
        delta = f1_difference(before, after, new[0].labels, criteria=criteria)
    else:
        delta = difference(metric, before, after, criteria=criteria)
    if delta is None:
        return Check(rule, row, metric, "no-examples", f"no example has a {metric} on both sides")
    if not math.isfinite(delta.delta):
        return Check(rule, row, metric, "not-a-number", f"the difference is {delta.delta}")
    worst = _worst(before, after, metric)
    outcome, text = _paired_outcome(rule, delta)
    return Check(rule, row, metric, outcome, text, delta, worst)


def _paired_outcome(rule: Rule, delta: Delta) -> tuple[str, str]:
    up = fact(delta.metric).higher_is_better is not False
    loss, least, most = (
        (-delta.delta, -delta.high, -delta.low) if up else (delta.delta, delta.low, delta.high)
    )
    size = f"{delta.delta:+.4g} [{delta.low:+.4g}, {delta.high:+.4g}] on {delta.n} examples"
    if delta.won == delta.lost == 0 and loss == 0:
        return "pass", f"every score is unchanged on {delta.n} examples"
    if delta.verdict == "worse":
        return "regression", f"Δ {size}, a loss of more than {rule.margin:g}"
    if delta.verdict == "better" and least < -rule.margin:
        outdated = rule.on_improved == "require-update"
        return "baseline-outdated" if outdated else "improved", f"Δ {size}"
    if most <= rule.margin:
        return "pass", f"Δ {size}: a loss of more than {rule.margin:g} is excluded"
    if delta.n < rule.min_examples:
        return "undecided", f"Δ {size}: too few examples to exclude a loss of {most:.3g}"
    return "pass", f"Δ {size}: a loss of more than {most:.3g} is excluded"


def _worst(before: list[Any], after: list[Any], metric: str, count: int = 5) -> tuple[str, ...]:
    found = [flips(b, a, metric) for b, a in seed_pairs(before, after)]
    lost = [flip for each in found if each for flip in each.regressions]
    ordered = sorted(lost, key=lambda flip: (-flip.loss, flip.id))
    return tuple(dict.fromkeys(flip.id for flip in ordered))[:count]


def _exact(
    rule: Rule, row: str, metric: str, new: list[CellSnapshot], old: list[CellSnapshot],
    family: int,
) -> Check:  # fmt: skip
    for now, then in zip(new, old, strict=True):
        if now.hardware != then.hardware or now.packages != then.packages:
            other = "machine" if now.hardware != then.hardware else "packages"
            text = f"the baseline is of another {other}: equality is not expected"
            return Check(rule, row, metric, "not-compared", text)
        pair = _changed_share(now, then) if metric == PREDICTIONS else _both(metric, now, then)
        broken = _broken(metric, pair)
        if broken:
            return Check(rule, row, metric, *broken)
        change = abs(pair[1] - pair[0])  # type: ignore[operator]
        if change > rule.tolerance:
            text = f"{now.name}: was {pair[0]:.6g}, is {pair[1]:.6g}, tolerance {rule.tolerance:g}"
            return Check(rule, row, metric, "regression", text)
    return Check(rule, row, metric, "pass", f"equal within {rule.tolerance:g}")


def _changed_share(now: CellSnapshot, then: CellSnapshot) -> tuple[float | None, float | None]:
    texts = list(zip(now.examples["text"], then.examples["text"], strict=True))
    return 0.0, sum(a != b for a, b in texts) / len(texts)


def _both(metric: str, now: CellSnapshot, then: CellSnapshot) -> tuple[float | None, float | None]:
    return then.values.get(metric), now.values.get(metric)


def _broken(metric: str, pair: tuple[float | None, float | None]) -> tuple[str, str] | None:
    for side, value in zip(("the baseline", "the run"), pair, strict=True):
        if value is None:
            return "missing-cell", f"{metric} has no value in {side}"
        if not math.isfinite(value):
            return "not-a-number", f"{metric} is {value} in {side}"
    return None


def _percentage(
    rule: Rule, row: str, metric: str, new: list[CellSnapshot], old: list[CellSnapshot],
    family: int,
) -> Check:  # fmt: skip
    if {c.hardware for c in new} != {c.hardware for c in old}:
        text = "measured on other hardware: not compared"
        return Check(rule, row, metric, "not-compared", text)
    pair = _mean(metric, old), _mean(metric, new)
    broken = _broken(metric, pair)
    if broken:
        return Check(rule, row, metric, *broken)
    then, now = (value or 0.0 for value in pair)
    if then == 0:
        return Check(rule, row, metric, "not-compared", f"{metric} is 0 in the baseline")
    up = fact(metric).higher_is_better is True
    change = 100 * (now - then) / abs(then)
    worse = -change if up else change
    unit = "times the calibration" if metric in SPEEDS else fact(metric).unit
    text = f"{change:+.1f}% ({then:.4g} → {now:.4g} {unit}), tolerance {rule.tolerance:g}%"
    if worse > rule.tolerance:
        return Check(rule, row, metric, "regression", text)
    return Check(rule, row, metric, "improved" if worse < -rule.tolerance else "pass", text)


def _mean(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    """The mean over seeds; of a speed as a multiple of the same cell's calibration."""
    found = []
    for cell in cells:
        value = cell.values.get(metric)
        unit = cell.values.get(CALIBRATION) if metric in SPEEDS else 1.0
        if value is None or not unit:
            return None
        found.append(value * unit if fact(metric).higher_is_better else value / unit)
    return sum(found) / len(found) if found else None


def _static(
    rule: Rule, row: str, metric: str, new: list[CellSnapshot], old: list[CellSnapshot],
    family: int,
) -> Check:  # fmt: skip
    value = _plain_mean(metric, new)
    limit = rule.limit or 0.0
    broken = _broken(metric, (0.0, value))
    if broken:
        return Check(rule, row, metric, *broken)
    up = fact(metric).higher_is_better is not False
    bad = (value or 0.0) < limit if up else (value or 0.0) > limit
    text = f"{value:.4g}, limit {limit:g}"
    return Check(rule, row, metric, "regression" if bad else "pass", text)


def _plain_mean(metric: str, cells: Sequence[CellSnapshot]) -> float | None:
    values = [v for cell in cells if (v := cell.values.get(metric)) is not None]
    return sum(values) / len(values) if values else None
