import json
import math

import pytest

from harness.datasets.control import ControlItem, load_control
from harness.errors import HarnessError
from harness.scoring.forgetting import control_records, control_values

ITEMS = [ControlItem("1", "It rained, so he opened his", "umbrella.", "oven.")] * 2


def test_the_ending_that_costs_less_per_byte_is_preferred():
    records = control_records(ITEMS, right=[9.0, 18.0], wrong=[9.0, 9.0])
    assert [r["scores"]["control_accuracy"] for r in records] == [1.0, 0.0]
    bits = records[0]["scores"]["control_bits_per_byte"]
    assert bits == pytest.approx(9.0 / math.log(2) / 9)
    values = {v.metric: v for v in control_values(records)}
    assert values["control_accuracy"].value == 0.5
    assert values["control_bits_per_byte"].value == pytest.approx(1.5 / math.log(2))
    assert control_values([]) == []


def test_the_built_in_set_has_distinct_endings_of_plain_sentences(tmp_path):
    items = load_control("everyday", tmp_path)
    assert len({item.id for item in items}) == len(items) == 80
    assert all(item.reference != item.wrong for item in items)
    finance = ("loan", "stock", "bank", "invest", "money", "tax", "price")
    assert not [i for i in items if any(word in i.prompt.lower() for word in finance)]


@pytest.mark.parametrize("text", ["", "{", '{"prompt": "a", "reference": "b"}'])
def test_a_broken_set_is_one_clear_error(tmp_path, text):
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(HarnessError, match=r"c\.jsonl"):
        load_control("c.jsonl", tmp_path)
    with pytest.raises(HarnessError, match="no file"):
        load_control("absent.jsonl", tmp_path)


def test_a_cell_is_scored_on_the_control_set_before_and_after(write_suite, tmp_path):
    from harness.analysis.leaderboard import build_leaderboard
    from harness.plan.plan import make_plan
    from harness.results.result import load_run
    from harness.run.runner import run_here

    line = {"prompt": "Snow is", "reference": "white.", "wrong": "loud."}
    lines = [{**line, "prompt": f"{line['prompt']} {i}"} for i in range(6)]
    (tmp_path / "c.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    suite = write_suite()
    suite.write_text(suite.read_text().replace("evaluation: {", "evaluation: {control: c.jsonl, "))
    run_here(make_plan(suite, tmp_path / "out"))
    run = load_run(tmp_path / "out")
    assert {cell.value("control_accuracy").n for cell in run.cells} == {6}
    row = build_leaderboard(run).tables[0].rows[1]
    assert row.control["control_bits_per_byte"].delta != 0
