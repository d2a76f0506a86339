"""From a run directory to the gate's verdict, and to a new baseline."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.gate import Verdict, check
from harness.results import Run
from harness.rules import Gate, load_rules
from harness.snapshot import exists, load_snapshot, save_baseline, slim, snapshot_of, updated


def baseline_path(run: Run) -> Path:
    """``<suite>.baseline.json`` beside the suite of ``run``."""
    return Path(run.suite["path"]).with_suffix(".baseline.json")


def gate_run(run: Run, against: str | None = None, rules: Path | None = None) -> Verdict | None:
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
        hint = "Finish the run first: a baseline of half a run would pass what it does not hold."
        raise HarnessError(f"{len(bad)} cells failed or are missing: {bad[0]}", hint=hint)
    if all(cell.status != "ok" for cell in run.cells):
        raise HarnessError("no cell of the run has a result")
    history = load_snapshot(str(path), path).history if path.is_file() else ()
    git = run.environment.get("git") or {}
    revision = f"{git.get('revision') or 'unknown'}{'+' if git.get('dirty') else ''}"
    named = {rule.metric for rule in Gate(**run.suite.get("gate", {})).rules}
    kept = slim(snapshot_of(run), named)
    save_baseline(path, updated(kept, history, reason=reason, revision=revision))
    return sum(cell.status == "ok" for cell in run.cells)
