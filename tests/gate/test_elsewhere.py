"""A rule on speed judges the row that measured, and never passes a row that nobody measured."""

import pytest

from harness.gate.baseline import CellSnapshot, Snapshot, load_snapshot, save_baseline
from harness.gate.check import check
from harness.suite.gate_rules import Gate, Rule

QA, RU = "m--none--a--finance-qa", "m--none--a--ru-calculations"


def cell(row, seed, latency=0, measured_in=None):
    speeds = {"latency_p50_ms": 4 * latency, "latency_ratio": latency, "reference_ms": 4.0}
    return CellSnapshot(
        row, seed, "ok", hardware="cpu", values=speeds if latency else {},
        examples={"id": ["1"], "text": ["x"]}, measured_in=measured_in,
    )  # fmt: skip


def once(latency):
    """Both rows with two seeds; only the first seed of the first row measured."""
    return Snapshot(
        "s", (cell(QA, 0, latency), *(cell(r, s, 0, QA) for r, s in ((QA, 1), (RU, 0), (RU, 1))))
    )


def everywhere(latency):
    return Snapshot("s", tuple(cell(row, seed, latency) for row in (QA, RU) for seed in (0, 1)))


def checked(new, old, cells="*", **more):
    rule = {"metric": "latency_p50_ms", "test": "percentage", "tolerance": 60, **more}
    verdict = check(new, old, Gate(rules=(Rule(cells=cells, **rule),)))
    return {c.row.rpartition("--")[2]: c.outcome for c in verdict.checks}


STATIC = {"test": "static", "limit": 10.0, "tolerance": 0.0}
CASES = {
    "the row that measured is judged for all": (once(5), once(5), {}, {"finance-qa": "pass"}),
    "it is slower": (once(9), once(5), {}, {"finance-qa": "regression"}),
    "a rule on a row that nobody measured": (
        once(5), once(5), {"cells": "*ru-*"}, {"ru-calculations": "not-comparable"}),
    "the baseline measured everywhere": (
        once(5), everywhere(5), {}, {"finance-qa": "pass", "ru-calculations": "not-compared"}),
    "only the run measured everywhere": (
        everywhere(5), once(5), {}, {"finance-qa": "pass", "ru-calculations": "missing-cell"}),
    "a bound": (once(5), once(5), STATIC, {"finance-qa": "regression"}),
    "a bound on a row that nobody measured": (
        once(1), once(1), {"cells": "*ru-*", **STATIC}, {"ru-calculations": "not-comparable"}),
}  # fmt: skip


@pytest.mark.parametrize(("new", "old", "rule", "expected"), CASES.values(), ids=CASES)
def test_a_rule_judges_the_row_that_was_measured(new, old, rule, expected):
    assert checked(new, old, **rule) == expected


def test_a_baseline_file_keeps_where_a_row_was_measured(tmp_path):
    save_baseline(tmp_path / "b.json", once(5))
    assert load_snapshot(str(tmp_path / "b.json"), tmp_path) == once(5)
