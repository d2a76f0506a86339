"""Test rows of their own: never mixed with training, what both hold leaves training."""

import json

import pytest

from harness.datasets.sources import content_hash, entry_of_test
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry


def write(tmp_path, name, numbers):
    rows = [
        {"instruction": f"Item {k}: what of {chr(97 + k % 26) * 9}?", "output": f"answer {k}"}
        for k in numbers
    ]
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def entry(tmp_path):
    write(tmp_path, "train.jsonl", range(20))
    write(tmp_path, "test.jsonl", range(15, 25))
    return DatasetEntry(name="t", source="train.jsonl", test_source="test.jsonl")


def test_all_rows_of_each_file_are_used_and_shared_ones_leave_training(tmp_path, entry):
    found = load_splits(entry, tmp_path)
    assert {e.reference for e in found.test} == {f"answer {k}" for k in range(15, 25)}
    assert {e.reference for e in found.train} == {f"answer {k}" for k in range(15)}
    assert found.counts["dropped_in_test"] == 5
    assert (found.counts["rows_read"], found.counts["test_rows_read"]) == (20, 10)
    assert found.overlap.exact == 0


def test_fewer_rows_may_be_asked_for_on_each_side(tmp_path, entry):
    found = load_splits(entry.model_copy(update={"train": 6, "test": 0.5}), tmp_path)
    assert (len(found.train), len(found.test)) == (6, 5)


def test_a_group_of_the_test_file_leaves_training_whole(tmp_path):
    for name, sites in (("train.jsonl", "abc"), ("test.jsonl", "c")):
        rows = [
            {"instruction": f"{name} {site} {k}", "output": "x", "site": site}
            for site in sites
            for k in range(3)
        ]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = DatasetEntry(name="t", source="train.jsonl", test_source="test.jsonl", group_by="site")
    assert {e.group for e in load_splits(entry, tmp_path).train} == {"a", "b"}


def test_nothing_left_to_train_on_is_an_error(tmp_path, entry):
    same = entry.model_copy(update={"test_source": "train.jsonl"})
    with pytest.raises(HarnessError, match="train: 0 rows are asked for, 0 are there"):
        load_splits(same, tmp_path)


def test_the_test_file_is_part_of_the_content_hash(tmp_path, entry):
    before = content_hash(entry, tmp_path)
    write(tmp_path, "test.jsonl", range(30, 40))
    assert content_hash(entry, tmp_path) != before


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (
            {"source": "o/n", "test_split": "validation"},
            {"source": "o/n", "train_split": "validation", "config": "main", "revision": "abc"},
        ),
        (
            {"source": "o/n", "test_source": "o/m"},
            {"source": "o/m", "train_split": "test", "config": None, "revision": None},
        ),
        (
            {"source": "o/n", "test_source": "t.csv"},
            {"source": "t.csv", "train_split": None, "config": None, "revision": None},
        ),
    ],
)
def test_configuration_and_revision_are_those_of_the_source(keys, wanted):
    found = entry_of_test(DatasetEntry(name="t", config="main", revision="abc", **keys))
    assert {key: getattr(found, key) for key in wanted} == wanted


@pytest.mark.parametrize("key", ["config", "train_split", "revision"])
def test_hub_keys_have_no_effect_on_a_file_and_are_refused(tmp_path, entry, key):
    with pytest.raises(HarnessError, match=f"`{key}` has no effect"):
        load_splits(entry.model_copy(update={key: "x"}), tmp_path)


@pytest.mark.parametrize("name", ["absent.csv", "sheet.xlsx", "trai.jsonl", "fiance-qa"])
def test_an_unknown_source_says_what_to_do(tmp_path, entry, name):
    with pytest.raises(HarnessError) as caught:
        load_splits(DatasetEntry(name="t", source=name), tmp_path)
    advice = {
        "sheet.xlsx": "Save the sheet as CSV",
        "trai.jsonl": 'Did you mean "train.jsonl"',
        "fiance-qa": 'Did you mean "finance-qa"',
    }
    assert advice.get(name, "Paths start from") in str(caught.value)
