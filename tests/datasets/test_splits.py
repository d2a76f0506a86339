import json
from pathlib import Path

import pytest

from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite import DatasetEntry


def table(tmp_path, rows):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DatasetEntry(name="t", source="t.jsonl", train=4, test=2)


def rows(n):
    return [
        {"instruction": f"Question number {i} about {chr(97 + i)}?", "output": f"Answer {i}"}
        for i in range(n)
    ]


@pytest.mark.parametrize("name", ["finance-qa", "finance-labels", "ru-calculations"])
def test_groups_never_cross_the_split(name):
    splits = load_splits(DatasetEntry(name=name, train=100, test=50), Path())
    assert not {e.group for e in splits.train} & {e.group for e in splits.test}
    assert len(splits.test) == 50


def test_nulls_and_duplicates_are_dropped_and_counted(tmp_path):
    bad = [{"instruction": "q", "output": None}, rows(1)[0]]
    splits = load_splits(table(tmp_path, rows(8) + bad), tmp_path)
    assert splits.counts["dropped_null"] == 1
    assert splits.counts["dropped_duplicate"] == 1


def test_several_answers_to_a_question_stay_on_one_side(tmp_path):
    twice = [{**row, "output": row["output"] + " again"} for row in rows(8)]
    splits = load_splits(table(tmp_path, rows(8) + twice), tmp_path)
    assert not {e.prompt for e in splits.train} & {e.prompt for e in splits.test}


def test_the_same_split_seed_gives_the_same_rows(tmp_path):
    entry = table(tmp_path, rows(9))
    assert load_splits(entry, tmp_path) == load_splits(entry, tmp_path)


def test_more_rows_than_exist_is_an_error(tmp_path):
    with pytest.raises(HarnessError, match="5 are there"):
        load_splits(table(tmp_path, rows(5)), tmp_path)


def test_a_wrong_column_names_the_right_ones(tmp_path):
    entry = DatasetEntry(name="t", source="t.jsonl", columns={"prompt": "instructions"})
    table(tmp_path, rows(5))
    with pytest.raises(HarnessError, match='Did you mean "instruction"'):
        load_splits(entry, tmp_path)


def test_an_undeclared_label_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\na b,good\nc d,bad\n")
    entry = DatasetEntry(name="t", source="t.csv", labels=("good", "poor"))
    with pytest.raises(HarnessError, match='label "bad"'):
        load_splits(entry, tmp_path)


def test_near_duplicates_across_the_split_are_counted(tmp_path):
    near = [{"instruction": f"How do I save money in year {i}?", "output": "x"} for i in range(8)]
    splits = load_splits(table(tmp_path, near), tmp_path)
    assert splits.counts["overlap_near"] == 2
