import json
import shutil

import pytest
from click.testing import CliRunner

from harness.analysis.comparable import incomparable
from harness.analysis.pairs import compare, compare_axis
from harness.cli import main
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

SUITE = """\
name: two
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 60, test: TEST}, {name: finance-labels, train: 60, test: 30}]
"""


@pytest.fixture
def runs(write_suite, tmp_path):
    """Writes a run of the testing backend per name, over 40 examples or as many as are given."""

    def write(name, examples=40):
        suite = write_suite(SUITE.replace("TEST", str(examples)))
        plan = make_plan(suite, tmp_path / name, backend="testing")
        run_suite(plan, LocalExecutor(2, 1), lambda _: None)
        return tmp_path / name

    return write


def test_a_run_compared_with_itself_differs_nowhere(runs):
    pairs = compare(runs("a"), runs("b"))
    assert len(pairs) == 4
    assert {pair.reason for pair in pairs} == {None}
    assert {delta.delta for pair in pairs for delta in pair.deltas.values()} == {0.0}
    assert {d.verdict for pair in pairs for d in pair.deltas.values()} == {"undecided"}


def test_a_run_compared_with_itself_is_equivalent_within_a_wide_margin(runs):
    pairs = compare(runs("a"), runs("b"), margin=0.2)
    assert {d.verdict for pair in pairs for d in pair.deltas.values()} == {"equivalent"}


def test_two_cells_are_compared_and_their_difference_is_named(runs):
    run = runs("a")
    cells = sorted((run / "cells").glob("*ru-calculations*"))
    (pair,) = compare(*cells)
    assert "a → base" in pair.name or "base → a" in pair.name
    assert pair.deltas["numeric_accuracy"].won + pair.deltas["numeric_accuracy"].lost > 0


def test_other_examples_are_left_out_and_counted(runs):
    pairs = compare(runs("a"), runs("b", examples=30))
    found = [p for p in pairs if p.first.result.dataset == "ru-calculations"]
    for pair in found:
        shared = pair.first.records.keys() & pair.second.records.keys()
        alone = len(pair.first.records) - len(shared)
        assert pair.reason is None
        assert f"paired {len(shared)} examples by id; left out: {alone} only" in pair.left_out
        assert pair.deltas["rougeL"].n == len(shared)
    assert found


def test_sides_without_a_common_example_are_not_comparable():
    one, other = ({k: {"id": k, "scores": {}}} for k in "ab")
    assert incomparable(one, other) == "no example in common: 1 id on one side, 1 on the other"


def test_the_command_prints_a_table_markdown_and_json(runs):
    args = ["compare", str(runs("a")), str(runs("b"))]
    assert "undecided" in CliRunner().invoke(main, args).output
    assert CliRunner().invoke(main, [*args, "--markdown"]).output.startswith("| pair | metric |")
    records = json.loads(CliRunner().invoke(main, [*args, "--json"]).output)
    assert {"pair", "metric", "delta", "low", "high", "verdict", "n", "won", "lost"} <= set(
        records[0]
    )


def test_what_is_no_run_is_one_clear_error(tmp_path):
    with pytest.raises(HarnessError, match="neither a run nor a cell"):
        compare(tmp_path, tmp_path)


def test_one_run_is_compared_along_an_axis(runs):
    args = ["compare", str(runs("a")), "--axis", "adapter", "--flips", "1"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("a − base\n")
    assert "base → a, ru-calculations" in result.output
    assert "example" in result.output
    assert max(map(len, result.output.split("tiny-qwen2, none, base →")[0].splitlines())) <= 80
    assert len(compare_axis(runs("b"), "adapter")) == 2


def test_one_run_along_an_axis_has_contrasts_in_every_form(runs):
    import harness

    args = ["compare", str(runs("a")), "--axis", "adapter", "--values", "a,base"]
    records = json.loads(CliRunner().invoke(main, [*args, "--json"]).output)
    assert [r["level"] for r in records if r["level"] == "contrast"] == ["contrast"] * 2
    assert {(r["first"], r["second"]) for r in records if r["level"] == "contrast"} == {
        ("a", "base")
    }
    table = CliRunner().invoke(main, [*args, "--markdown"]).output
    assert table.startswith("| difference | data set | metric | Δ [95%] |")
    assert "base − a" in table
    pairs = CliRunner().invoke(main, [*args, "--pairs"]).output
    assert "a → base" in pairs
    found = harness.compare(runs("a"), axis="adapter", values=["a", "base"])
    assert [each.delta.delta for each in found.contrasts] == [r["delta"] for r in records[:2]]
    assert {pair.name.split(", ")[2] for pair in found} == {"a → base"}


def test_values_without_an_axis_are_refused(runs):
    result = CliRunner().invoke(main, ["compare", str(runs("a")), str(runs("b")), "--values", "a"])
    assert result.exit_code == 2
    assert "--axis" in result.output


def test_an_axis_of_one_value_or_no_axis_is_an_error(runs):
    run = runs("a")
    with pytest.raises(HarnessError, match="no two variants differ in model"):
        compare_axis(run, "model")
    assert (
        "Did you mean" in CliRunner().invoke(main, ["compare", str(run), "--axis", "modl"]).output
    )
    assert CliRunner().invoke(main, ["compare", str(run)]).exit_code == 2


SEEDED = """\
name: seeded
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 60, test: 30}]
  seed: [0, 1, 2]
"""


def test_a_failed_seed_leaves_the_others_beside_their_own(write_suite, tmp_path):
    plan = make_plan(write_suite(SEEDED), tmp_path, backend="testing")
    run_suite(plan, LocalExecutor(2, 1), lambda _: None)
    (whole,) = (p for p in compare_axis(tmp_path, "adapter") if "a → b" in p.name)
    (failed,) = (tmp_path / "cells").glob("*--a--*--s0-*")
    shutil.rmtree(failed)
    (pair,) = (p for p in compare_axis(tmp_path, "adapter") if "a → b" in p.name)
    wanted = whole.deltas["numeric_accuracy"].per_seed[1:]
    assert pair.deltas["numeric_accuracy"].per_seed == pytest.approx(wanted)
    assert pair.first.result.seed == pair.second.result.seed == 1
