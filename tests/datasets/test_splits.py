import json
from pathlib import Path

import pytest

from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry


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


def _table(tmp_path, rows):
    import json

    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path.name


def _rows(count):
    return [{"instruction": f"question {i}", "output": f"answer {i}"} for i in range(count)]


def test_rows_can_be_taken_and_split_in_the_order_of_the_file(tmp_path):
    name = _table(tmp_path, _rows(40))
    options = {"rows": 12, "take": "first", "split": "in-order", "train": 8, "test": 4}
    found = load_splits(DatasetEntry(name="t", source=name, **options), tmp_path)
    assert [e.reference for e in found.train] == [f"answer {i}" for i in range(8)]
    assert [e.reference for e in found.test] == [f"answer {i}" for i in range(8, 12)]


def test_the_first_rows_can_be_split_at_random(tmp_path):
    name = _table(tmp_path, _rows(40))
    options = {"rows": 12, "take": "first", "train": 8, "test": 4}
    found = load_splits(DatasetEntry(name="t", source=name, **options), tmp_path)
    numbers = {int(e.reference.split()[1]) for e in (*found.train, *found.test)}
    assert numbers == set(range(12))


@pytest.mark.parametrize(("rule", "kept"), [("row", 11), ("prompt", 10), ("none", 12)])
def test_repetitions_are_dropped_by_row_or_by_prompt(tmp_path, rule, kept):
    twice = [
        {"instruction": "Question 3?", "output": "other"},
        {"instruction": "question 1", "output": "answer 1"},
    ]
    name = _table(tmp_path, _rows(10) + twice)
    entry = DatasetEntry(name="t", source=name, train=4, test=4, deduplicate=rule, group_by=None)
    assert load_splits(entry, tmp_path).counts.get("dropped_duplicate", 0) == 12 - kept


def test_a_label_that_is_tested_and_never_trained_on_is_an_error(tmp_path):
    rows = [{"text": f"t {i}", "label": "rare" if i > 7 else "usual"} for i in range(10)]
    name = _table(tmp_path, rows)
    options = {"labels": ("usual", "rare"), "split": "in-order", "train": 8, "test": 2}
    with pytest.raises(HarnessError, match='"rare" is tested and never trained on'):
        load_splits(DatasetEntry(name="t", source=name, **options), tmp_path)


@pytest.mark.parametrize(("test", "said"), [(1, "1 test row"), (2, "2 test rows")])
def test_test_rows_of_one_label_are_an_error(tmp_path, test, said):
    rows = [{"text": f"t {i}", "label": "rare" if i < 4 else "usual"} for i in range(10)]
    name = _table(tmp_path, rows)
    options = {"labels": ("usual", "rare"), "split": "in-order", "train": 8, "test": test}
    with pytest.raises(HarnessError) as error:
        load_splits(DatasetEntry(name="t", source=name, **options), tmp_path)
    assert f'data set "t": the only label of its {said} is "usual"\n' in f"{error.value}\n"


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "finance-qa", "train": 300, "test": 100, "validation": 60},
        {"name": "ru-calculations", "rows": 500, "train": 300, "test": 80, "validation": 0.2},
        {"name": "finance-labels", "test": 100, "validation": 50},
    ],
)
def test_validation_rows_are_training_rows_and_the_test_rows_stay_unseen(settings):
    whole = load_splits(DatasetEntry(**{**settings, "validation": None}), Path())
    held = load_splits(DatasetEntry(**settings), Path())
    ids = {e.id for e in whole.train}
    assert {e.id for e in (*held.train, *held.test)} <= ids
    seen, scored = ({e.group or e.id for e in side} for side in (held.train, held.test))
    unseen = {e.group or e.id for e in whole.test}
    assert not seen & scored
    assert not (seen | scored) & unseen
    wanted = settings["validation"]
    assert len(held.test) == (wanted if wanted > 1 else int(wanted * len(whole.train)))
    assert held.counts["test_rows_unseen"] == len(whole.test)
    assert held.counts["test_rows"] == len(held.test)
    assert len(held.train) >= 0.9 * (len(whole.train) - len(held.test))


def test_validation_in_order_is_the_end_of_the_training_rows(tmp_path):
    entry = table(tmp_path, rows(9)).model_copy(update={"split": "in-order"})
    held = load_splits(entry.model_copy(update={"validation": 1}), tmp_path)
    whole = load_splits(entry, tmp_path)
    assert held.train == whole.train[:3]
    assert held.test == whole.train[3:]
    with pytest.raises(HarnessError, match="validation: 4 of 4 training rows"):
        load_splits(entry.model_copy(update={"validation": 1.0}), tmp_path)


def test_validation_rows_of_a_test_file_come_from_the_training_file(tmp_path):
    (tmp_path / "test.jsonl").write_text(json.dumps({"instruction": "Ask?", "output": "It."}))
    entry = DatasetEntry(
        name="t", source=_table(tmp_path, rows(9)), test_source="test.jsonl", validation=3
    )
    held = load_splits(entry, tmp_path)
    assert (len(held.train), len(held.test)) == (6, 3)
    assert all(e.prompt.startswith("Question") for e in held.test)


@pytest.mark.parametrize("more", [{}, {"split": "in-order"}, {"test": 5}, {"test": 0.5}])
def test_a_set_may_only_test(more):
    whole = load_splits(DatasetEntry(name="finance-qa", rows=40), Path())
    found = load_splits(DatasetEntry(name="finance-qa", rows=40, train=0, **more), Path())
    wanted = {5: 5, 0.5: 20}.get(more.get("test"), 40)
    assert (len(found.train), len(found.test)) == (0, wanted)
    assert found.overlap is None
    assert len(whole.train) > 0


def test_labels_of_a_set_that_only_tests_need_no_training_row():
    entry = DatasetEntry(name="finance-labels", train=0, test=30)
    found = load_splits(entry, Path())
    assert (len(found.train), len(found.test)) == (0, 30)
