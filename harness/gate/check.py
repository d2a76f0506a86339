"""The gate: compare a run with a baseline, rule by rule. What cannot be compared never passes.

The paired intervals of one check are corrected together (Bonferroni): repeating a run without any
change fails at most 2.5% of checks, however many rules there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from harness.counting import counted
from harness.errors import HarnessError
from harness.gate.baseline import (
    CellSnapshot,
    Snapshot,
    exists,
    load_snapshot,
    only_metrics,
    save_baseline,
    snapshot_of,
    updated,
)
from harness.gate.rule_kinds import Finding, RuleKind, exact, paired, percentage, static
from harness.gate.speed import measured_elsewhere
from harness.gate.verdict import Check, GateVerdict
from harness.metrics.registry import registered
from harness.registry import did_you_mean
from harness.results.run import Run
from harness.suite.gate_rules import PREDICTIONS, PRIMARY, Gate, Rule, load_rules


def check(run: Snapshot, baseline: Snapshot, gate: Gate) -> GateVerdict:
    """Every rule of ``gate`` on every row of ``run`` or ``baseline`` that it names.

    Raises:
        HarnessError: a rule names no row at all, or a metric that there is not.
    """
    new, old = run.rows(), baseline.rows()
    rows = list(dict.fromkeys([*new, *old]))
    plan = [
        (rule, row)
        for rule in gate.rules
        for row in _named(rule, rows)
        if _applies(rule, new.get(row), old.get(row), _named(rule, rows))
    ]
    _check_metrics(gate, [*run.cells, *baseline.cells])
    # only paired intervals have an error rate that can be corrected for
    family = max(1, sum(rule.test == "paired" for rule, _ in plan))
    checks = [_check(rule, row, new.get(row), old.get(row), family) for rule, row in plan]
    return GateVerdict(run.suite, tuple(checks))


def _check_metrics(gate: Gate, cells: Sequence[CellSnapshot]) -> None:
    """Refuse a misspelt metric: its rule would apply to no row, or compare nothing with nothing."""
    known = {metric.name for metric in registered()}.union(*(cell.values for cell in cells))
    for name in (rule.metric for rule in gate.rules):
        if name not in known | {PRIMARY, PREDICTIONS}:
            what = f'gate: there is no metric "{name}"'
            raise HarnessError(what, hint=did_you_mean(name, known))


def _named(rule: Rule, rows: Sequence[str]) -> list[str]:
    found = [row for row in rows if fnmatchcase(row, rule.cells)]
    if not found:
        hint = f"Rows: {', '.join(rows[:3])}, …" if rows else "The run has no cells."
        raise HarnessError(f'gate: no row matches "{rule.cells}"', hint=hint)
    return found


def _applies(
    rule: Rule, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None, named: Sequence[str]
) -> bool:
    """False for a measurement that neither side has, such as GPU memory on a CPU."""
    place = measured_elsewhere(rule.metric, new or ())
    if place is not None and place not in named:
        return True  # or the rule would pass without having looked at any speed
    if rule.test != "percentage":
        return place is None
    return any(rule.metric in cell.values for cell in (*(new or ()), *(old or ())))


def _check(
    rule: Rule, row: str, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None,
    family: int,
) -> Check:  # fmt: skip
    metric = _metric(rule, [*(new or ()), *(old or ())])
    finding = _missing(rule, new, old)
    if finding is None and rule.test != "static":
        finding = _incomparable(metric, new or [], old or [], measured=rule.test == "percentage")
    if finding is None and (place := measured_elsewhere(metric, new or ())):
        finding = _elsewhere(metric, place, old or [])
    if finding is None:
        kinds: dict[str, RuleKind] = {
            "paired": partial(paired, family=family),
            "exact": exact, "percentage": percentage, "static": static,
        }  # fmt: skip
        finding = kinds[rule.test](rule, metric, new or [], old or [])
    return Check(rule, row, metric, *finding)


def _elsewhere(metric: str, place: str, old: Sequence[CellSnapshot]) -> Finding:
    if any(metric in cell.values for cell in old):
        text = f"{metric} is now measured once a variant, in {place}; record a new baseline"
        return Finding("not-compared", text)
    text = f"{metric} is measured once a variant, in {place}, which the rule does not name"
    hint = "name that row too, or set `evaluation.latency_per: cell`"
    return Finding("not-comparable", f"{text}: {hint}")


def _metric(rule: Rule, cells: Sequence[CellSnapshot]) -> str:
    if rule.metric != PRIMARY:
        return rule.metric
    return next((cell.primary_metric for cell in cells if cell.primary_metric), PRIMARY)


def _missing(
    rule: Rule, new: list[CellSnapshot] | None, old: list[CellSnapshot] | None
) -> Finding | None:
    """The finding for a row that one side lacks, skipped or failed; None if both have results."""
    before = {cell.status for cell in old or ()}
    if new is None or any(cell.status == "missing" for cell in new):
        outcome = "missing-cell" if rule.on_missing == "fail" else "warned"
        return Finding(outcome, "in the baseline, but the run has no result for it")
    failed = next((cell for cell in new if cell.status == "failed"), None)
    if failed is not None:
        outcome = "known-failure" if "failed" in before else "cell-failed"
        return Finding(outcome, f"{failed.name} failed: {failed.reason}")
    skipped = next((cell for cell in new if cell.status == "skipped"), None)
    if skipped is not None:
        if "ok" not in before:
            return Finding("not-compared", f"skipped: {skipped.reason}")
        outcome = "skipped-cell" if rule.on_missing == "fail" else "warned"
        return Finding(outcome, f"skipped, though the baseline has it: {skipped.reason}")
    if rule.test != "static" and "ok" not in before:
        outcome = "new-cell" if rule.on_new == "record" else "new-cell-refused"
        return Finding(outcome, "not in the baseline; `harness baseline update` records it")
    return None


def _incomparable(
    metric: str, new: list[CellSnapshot], old: list[CellSnapshot], *, measured: bool = False
) -> Finding | None:
    """Why the two sides of a row cannot be compared; None if they can.

    ``measured`` values need no examples: random weights and some imported results have none.
    """
    # From the most to the least fundamental difference: the first one explains the later ones.
    if [cell.seed for cell in new] != [cell.seed for cell in old]:
        return Finding("not-comparable", "the training seeds differ")
    for now, then in zip(new, old, strict=True):
        if then.status != "ok":
            text = f"{then.name} has no result in the baseline: {then.status}"
            return Finding("not-comparable", text)
        if not measured and not now.examples.get("id"):
            return Finding("no-examples", f"{now.name} has no scored example")
        if now.data_hash != then.data_hash:
            return Finding(
                "not-comparable", "the data set changed: other examples or other references"
            )
        if now.prompt_hash != then.prompt_hash:
            return Finding("not-comparable", "the prompts changed")
        if now.generation != then.generation:
            return Finding(
                "not-comparable",
                f"generation settings changed from {then.generation} to {now.generation}",
            )
        ours, theirs = now.signatures.get(metric), then.signatures.get(metric)
        if ours != theirs:
            return Finding("not-comparable", f"{metric} was computed as {theirs}, now as {ours}")
    return None


def baseline_path(run: Run) -> Path:
    """``<suite>.baseline.json`` beside the suite of ``run``."""
    path = Path(run.suite["path"] or run.suite["name"])
    return path.parent / f"{path.stem or 'run'}.baseline.json"


def gate_run(run: Run, against: str | None = None, rules: Path | None = None) -> GateVerdict | None:
    """The verdict on ``run``; None when there is no baseline.

    Args:
        run: A run directory read back.
        against: A baseline file, a run directory or `git:REF[:PATH]`; default: the suite's.
        rules: A YAML file of rules; default: the suite's `gate`.
    """
    default = baseline_path(run)
    source = against or str(default)
    gate = load_rules(rules) if rules else Gate(**run.suite.get("gate", {}))
    if not exists(source):
        return None
    return check(snapshot_of(run), load_snapshot(source, default), gate)


def update_baseline(run: Run, path: Path, reason: str) -> int:
    """Write ``run`` as the baseline in ``path``, its reason after those before; the cells recorded.

    Raises:
        HarnessError: a cell of the run failed or has no result, or none ended well.
    """
    bad = [cell.key for cell in run.cells if cell.status in ("failed", "missing")]
    if bad:
        hint = (
            "Finish the run first: a baseline from an incomplete run would let missing cells pass."
        )
        raise HarnessError(
            f"{counted(len(bad), 'cell')} without a result, the first is {bad[0]}", hint=hint
        )
    if all(cell.status != "ok" for cell in run.cells):
        raise HarnessError("no cell of the run has a result to record")
    history = load_snapshot(str(path), path).history if path.is_file() else ()
    git = run.environment.git
    revision = f"{git.revision}{'+' if git.dirty else ''}" if git else "unknown"
    named = {rule.metric for rule in Gate(**run.suite.get("gate", {})).rules}
    recorded = only_metrics(snapshot_of(run), named)
    save_baseline(path, updated(recorded, history, reason=reason, revision=revision))
    return sum(cell.status == "ok" for cell in run.cells)
