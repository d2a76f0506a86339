"""The regression gate: compare a run with a baseline, and record baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.api.arguments import RunLike, StrPath, run_of
from harness.api.running import execute
from harness.api.suites import plan
from harness.errors import HarnessError, NoBaseline
from harness.gate import check as gate
from harness.gate.baseline import Snapshot, load_snapshot
from harness.gate.verdict import GateVerdict
from harness.results.run import Run
from harness.run.executors.main_module import end_if_run_again
from harness.user_path import typed


def check(
    run: RunLike, *, against: StrPath | None = None, rules: StrPath | None = None
) -> GateVerdict:
    """Compare ``run`` with a baseline by the rules of its gate.

    Args:
        run: A run, or where it is.
        against: A baseline file, a run directory or ``git:REF[:PATH]``; default: the file beside
            the suite.
        rules: A YAML file of rules; default: the suite's `gate`.

    Returns:
        Every check; its ``exit_code`` is 0 where nothing is shown to be worse.

    Raises:
        NoBaseline: there is none.
        HarnessError: a rule is broken, or matches no row.
    """
    read = run_of(run)
    source = None if against is None else str(against)
    verdict = gate.gate_run(read, source, Path(rules) if rules else None)
    if verdict is None:
        update = f"harness baseline update {typed(read.directory)}"
        hint = f'Write one: {update} --reason "first baseline".'
        suite = str(read.suite.get("path", ""))
        if source is None and not read.suite.get("imported") and not Path(suite).is_file():
            hint = (
                f"{suite}, the suite of {read.directory}, is not here either: run this where"
                " `harness run` was, or name the baseline by `--against FILE`."
            )
        raise NoBaseline(f"there is no baseline {source or gate.baseline_path(read)}", hint=hint)
    return verdict


@dataclass(frozen=True)
class Recorded:
    """A baseline that has been written."""

    path: Path
    cells: int
    """How many cells with a result it holds."""


def update_baseline(run: RunLike, reason: str, *, path: StrPath | None = None) -> Recorded:
    """Record ``run`` as the baseline for later checks.

    Args:
        run: A run, or where it is.
        reason: Why the baseline changes; it is kept in the file.
        path: Default: beside the suite, ``<suite>.baseline.json``.

    Raises:
        HarnessError: a cell of the run failed or has no result.
    """
    if not reason.strip():
        raise HarnessError("a baseline needs a reason", hint="Say why it changes, in a few words.")
    read = run_of(run)
    place = Path(path) if path else _beside_the_suite(read)
    return Recorded(place, gate.update_baseline(read, place, reason))


def _beside_the_suite(run: Run) -> Path:
    """Where the baseline of ``run`` goes if nobody says so.

    Raises:
        HarnessError: the suite is not there. A run names any path, and one that was sent to you
            must not replace a file of yours.
    """
    place, suite = gate.baseline_path(run), Path(run.suite["path"])
    if suite.is_file() or place.resolve().is_relative_to(Path.cwd()):
        return place
    hint = f"Name the baseline's file: harness baseline update {typed(run.directory)} … -o FILE"
    raise HarnessError(f"the suite that the run names is not here: {suite}", hint=hint)


def load_baseline(path: StrPath) -> Snapshot:
    """Read the baseline in the file ``path``: its cells, and why it was recorded."""
    return load_snapshot(str(path), Path(path))


def assert_no_regression(
    suite: StrPath,
    *,
    baseline: StrPath | None = None,
    output: StrPath | None = None,
    update: str | None = None,
) -> GateVerdict:
    """Run ``suite`` and compare it with its baseline by its `gate` rules.

    Args:
        suite: A suite's path, or the name of a shipped one.
        baseline: A file, a run directory or ``git:REF[:PATH]``; default: beside the suite.
        output: The run directory; default ``runs/<suite>``.
        update: A reason: the run is recorded as the baseline before it is compared.

    Raises:
        AssertionError: a regression, a failed cell, or something that cannot be compared.
    """
    end_if_run_again()
    run = execute(plan(suite, output=output)).run
    if update:
        update_baseline(run, update, path=baseline)
    try:
        verdict = check(run, against=baseline)
    except NoBaseline as error:
        raise AssertionError(str(error)) from None
    found = [check for check in verdict.ordered() if not check.passed]
    problems = [f"{c.outcome}: {c.row}: {c.metric}: {c.text}" for c in found]
    assert verdict.exit_code == 0, "\n".join([verdict.summary, *problems])
    return verdict
