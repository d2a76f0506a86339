"""The tiny twin of every published suite runs end to end, and its claims are decided."""

import pytest

from harness.analysis.claims import judge
from harness.analysis.leaderboard import build_leaderboard
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

SUITES = (
    "qwen2-finance-alpaca", "tinyllama-finance-qa", "mistral-russian-calculations",
    "finance-text-classification", "llama2-finance-alpaca", "tinyllama-sweep",
)  # fmt: skip
SELECT = {"tinyllama-sweep": "adapter=r8*|base,seed=0", "finance-text-classification": "seed=0"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_a_tiny_twin_runs_end_to_end(root, tmp_path, name):
    path = root / "suites" / "published" / f"{name}.yaml"
    run_here(make_plan(path, tmp_path / "out", tiny=True, select=SELECT.get(name)))
    run = load_run(tmp_path / "out")
    assert {cell.status for cell in run.cells} == {"ok"}, [c.reason for c in run.cells]
    board = build_leaderboard(run)
    assert any(row.deltas for table in board.tables for row in table.rows)
    judged = judge(run.suite["claims"], board)
    assert all(item.why or item.here is not None for item in judged)
    assert not [item for item in judged if item.how == "measured"]


def test_every_published_pipeline_has_claims_and_both_readings(root):
    from harness.suite.loading import load_suite

    for name in SUITES[:-1]:
        suite = load_suite(root / "suites" / "published" / f"{name}.yaml")
        assert suite.published
        assert suite.source
        if name != "finance-text-classification":
            assert set(suite.source.readings) == {"as-described", "as-run"}
