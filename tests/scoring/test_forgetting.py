import codecs
import json
import math
import random

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


LINE = b'{"prompt": "a", "reference": "b", "wrong": "c"}\n'
BROKEN = {
    "empty": b"", "cut": b"{", "a key lacks": b'{"prompt": "a", "reference": "b"}', "a list": b"[]",
    "not UTF-8": LINE + LINE.replace(b'"b"', b'"\xff\xfe"'), "NUL": LINE + b"\0",
    "lists in lists": LINE + b"[" * 100_000,
    "an ending nested deep": LINE.replace(b'"b"', b"[" * 900 + b"]" * 900) + b"{" * 100_000,
    "5,000 digits": LINE.replace(b'"b"', b"7" * 5000),
    "half a pair of surrogates": LINE.replace(b'"b"', b'"\\ud800"'),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_set_is_one_clear_error(tmp_path, kind):
    (tmp_path / "c.jsonl").write_bytes(BROKEN[kind])
    with pytest.raises(HarnessError, match=r"c\.jsonl"):
        load_control("c.jsonl", tmp_path)
    with pytest.raises(HarnessError, match="no file"):
        load_control("absent.jsonl", tmp_path)


def test_a_mark_is_no_part_of_the_first_item(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(codecs.BOM_UTF8 + LINE)
    assert [item.prompt for item in load_control("c.jsonl", tmp_path)] == ["a"]


def test_damaged_bytes_of_a_set_are_refused_in_words_or_read(tmp_path):
    """Bytes flipped, cut, doubled and nested: items that can be written, or one clear error."""
    rng, whole, refused, read = random.Random(17), LINE * 5, 0, 0
    inserted = (b"\xff", b"\0", b"[" * 5000, b"\\ud800", b"\n", b"1e999", b"\xef\xbb\xbf", b"{}")
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data) + 1)
            data[place : place + rng.choice((0, 0, 1, 9))] = rng.choice(inserted)
        (tmp_path / "c.jsonl").write_bytes(data)
        try:
            for item in load_control("c.jsonl", tmp_path):
                json.dumps([item.prompt, item.reference, item.wrong], ensure_ascii=False).encode()
        except HarnessError as error:
            refused += "c.jsonl" in str(error)
        else:
            read += 1
    assert refused + read == 250
    assert refused > read > 0


def test_a_cell_is_scored_on_the_control_set_before_and_after(write_suite, tmp_path):
    from harness.analysis.leaderboard import build_leaderboard
    from harness.plan.plan import make_plan
    from harness.results.run import load_run
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
