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
    from harness.gate.verdict import GateVerdict


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
) -> Callable[..., GateVerdict]:
    """`assert_no_regression` with a run directory of the session's and the option's reason."""
    from harness import assert_no_regression

    reason = request.config.getoption("--harness-update-baseline")

    def gate(suite: str | Path, *, baseline: str | None = None) -> GateVerdict:
        output = tmp_path_factory.mktemp("harness") / Path(suite).stem
        return assert_no_regression(suite, baseline=baseline, output=output, update=reason)

    return gate
