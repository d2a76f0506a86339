"""The gate as a pytest assertion; installed as the plug-in `harness`.

def test_the_recipe_has_not_regressed(assert_no_regression):
assert_no_regression("suites/ci.yaml")
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.gate.check import Verdict


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--harness-update-baseline REASON`."""
    parser.getgroup("harness").addoption(
        "--harness-update-baseline",
        metavar="REASON",
        help="record the runs of assert_no_regression as their suites' baselines",
    )


@pytest.fixture(name="assert_no_regression")
def _assert_no_regression(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Verdict]:
    """`assert_no_regression` with a run directory of the session's and the option's reason."""
    reason = request.config.getoption("--harness-update-baseline")

    def gate(suite: str | Path, *, baseline: str | None = None) -> Verdict:
        output = tmp_path_factory.mktemp("harness") / Path(suite).stem
        return assert_no_regression(suite, baseline=baseline, output=output, update=reason)

    return gate


def assert_no_regression(
    suite: str | Path,
    *,
    baseline: str | None = None,
    output: Path | None = None,
    update: str | None = None,
) -> Verdict:
    """Run ``suite`` and compare it with its baseline by its `gate` rules.

    Args:
        suite: A suite's path, or the name of a shipped one.
        baseline: A file, a run directory or `git:REF[:PATH]`; default: beside the suite.
        output: The run directory; default `runs/<suite>`.
        update: A reason: the run is recorded as the baseline before it is compared.

    Raises:
        AssertionError: a regression, a failed cell, or something that cannot be compared.
    """
    from harness.gate.check import baseline_path, gate_run, update_baseline
    from harness.plan.plan import make_plan
    from harness.results.result import load_run
    from harness.run.runner import run_here

    plan = make_plan(Path(suite), output)
    run_here(plan)
    run = load_run(plan.run.directory)
    path = baseline or str(baseline_path(run))
    if update:
        update_baseline(run, Path(path), update)
    verdict = gate_run(run, path)
    assert verdict is not None, f"no baseline: {path}; record one by `harness baseline update`"
    problems = [f"{c.outcome}: {c.row}: {c.metric}: {c.text}" for c in verdict.ordered() if c.level]
    assert verdict.exit_code == 0, "\n".join([verdict.summary, *problems])
    return verdict
