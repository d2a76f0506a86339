"""Values to texts, several references, gold numbers, labels, groups."""

import json

import pytest

from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry


def load(tmp_path, made, /, **options):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return load_splits(DatasetEntry(name="t", source="t.jsonl", **options), tmp_path)


def rows(value, count=8, column="output"):
    row = {"instruction": "", "output": "yes"}
    return [{**row, "instruction": f"question {k}", column: value} for k in range(count)]


def first(splits):
    return splits.train[0]


@pytest.mark.parametrize(
    ("value", "reference", "references"),
    [
        ("  yes ", "yes", ()),
        (12, "12", ()),
        (2.50, "2.5", ()),
        (True, "true", ()),
        ("None", "None", ()),
        ("N/A", "N/A", ()),
        ("null", "null", ()),
        (["yes"], "yes", ()),
        (["yes", "sure", "yes"], "yes", ("yes", "sure")),
        ([None, "yes", 5], "yes", ("yes", "5")),
        ({"text": ["yes", "sure"], "answer_start": [0, 4]}, "yes", ("yes", "sure")),
    ],
)
def test_a_reference_is_a_text_or_several(tmp_path, value, reference, references):
    found = first(load(tmp_path, rows(value)))
    assert (found.reference, found.references) == (reference, references)


@pytest.mark.parametrize("value", [None, "", "  ", [], [None], {"text": []}])
def test_rows_without_a_reference_are_dropped_and_counted(tmp_path, value):
    found = load(tmp_path, [*rows("yes", 10), *rows(value, 2)])
    assert found.counts["dropped_null"] == 2


def test_words_that_some_tools_write_for_null_stay_texts_and_are_counted(tmp_path):
    assert load(tmp_path, [*rows("yes"), *rows("NaN", 3)]).counts["null_words"] == 3


def test_a_prompt_may_be_a_number(tmp_path):
    made = [{"instruction": 1000 + 37 * k, "output": "x"} for k in range(8)]
    assert first(load(tmp_path, made)).prompt.isdigit()


def test_a_nested_value_is_named_by_its_path(tmp_path):
    made = [{"q": {"text": f"question {k}"}, "a": {"value": "yes"}} for k in range(8)]
    found = load(tmp_path, made, columns={"prompt": "q.text", "reference": "a.value"})
    assert first(found).prompt.startswith("question")


@pytest.mark.parametrize(
    ("value", "language", "gold"),
    [
        ("5", "en", "5"),
        ("5%", "en", "5"),
        ("1,005", "en", "1005"),
        ("12,5", "ru", "12.5"),
        ("$1,250.75", "en", "1250.75"),
        ("-3", "en", "-3"),
        ("1e3", "en", "1000"),
        (7.25, "en", "7.25"),
        ("15 apples and 2 more = 17\n#### 17", "en", "17"),
        ("", "en", None),
        (None, "en", None),
    ],
)
def test_gold_is_read_as_an_answer_is(tmp_path, value, language, gold):
    made = rows(value, column="gold")
    assert first(load(tmp_path, made, columns={"gold": "gold"}, language=language)).gold == gold


@pytest.mark.parametrize("value", ["many", "from 3 to 5", "NaN", "inf", ["5"], {"v": 5}])
def test_gold_that_is_not_one_number_is_refused_with_its_row(tmp_path, value):
    with pytest.raises(HarnessError, match=r"t.jsonl:1: column \"gold\""):
        load(tmp_path, rows(value, column="gold"), columns={"gold": "gold"})


def test_a_numeric_metric_needs_gold(tmp_path):
    with pytest.raises(HarnessError, match="numeric_accuracy needs gold numbers"):
        load(tmp_path, rows("yes"), primary_metric="numeric_accuracy")


def labelled(values):
    return [{"text": f"text {k} {chr(97 + k % 26)}", "label": v} for k, v in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1] * 6, [0, 1]),
        ([True, False] * 6, [True, False]),
        (["none", "null"] * 6, ["none", "null"]),
        ([" yes ", "no"] * 6, ["yes", "no"]),
        (["1.0", "2.0"] * 6, [1.0, 2.0]),
    ],
)
def test_labels_of_any_kind_are_texts(tmp_path, values, labels):
    found = load(tmp_path, labelled(values), labels=labels, test=0.5)
    assert len(found.train) + len(found.test) == 12


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        (
            ["Yes", "no"] * 6,
            ["yes", "no"],
            r't.jsonl:1: .*label "Yes".*\(6 rows\)\n.*differs from "yes"',
        ),
        (["1.0", "0"] * 6, [0, 1], 'differs from "1"'),
        (["ja", "nej"] * 6, ["yes", "no"], 'label "ja"(.|\n)*label "nej"'),
        (["yes"] * 12, ["yes", "no"], 'every row has the label "yes"'),
        (["yes", ["no"]] * 6, ["yes", "no"], 'column "label" holds a list'),
    ],
)
def test_labels_that_do_not_fit_are_refused_all_at_once(tmp_path, values, labels, message):
    with pytest.raises(HarnessError, match=message):
        load(tmp_path, labelled(values), labels=labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["Yes", "yes"], "not distinct"),
        (["1", 1.0], "not distinct"),
        (["a  b", "a b"], "not distinct"),
        (["only"], "one label alone"),
        ([None, "b"], "null is not a label"),
        (["", "b"], "a label is empty"),
    ],
)
def test_declared_labels_are_distinct_texts(labels, message):
    with pytest.raises(ValueError, match=message):
        DatasetEntry(name="t", source="t.csv", labels=labels)


def test_one_instruction_with_many_inputs_is_many_prompts(tmp_path):
    made = [{"instruction": "Sum up.", "input": f"Text {k}", "output": f"{k}"} for k in range(10)]
    found = load(tmp_path, made)
    assert found.counts["groups"] == 10
    assert (len(found.train), len(found.test)) == (8, 2)


def test_one_group_alone_is_refused_with_what_to_do(tmp_path):
    made = [{"instruction": f"q {k}", "output": f"{k}", "site": "one"} for k in range(10)]
    with pytest.raises(HarnessError, match=r"of 1 group the largest has 10 rows(.|\n)*group_by"):
        load(tmp_path, made, group_by="site")


def test_a_group_column_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(HarnessError, match='no column "sites" to group by'):
        load(tmp_path, rows("x"), group_by="sites")


def test_a_key_that_comes_late_drops_no_column(tmp_path):
    made = [
        {"instruction": f"q {k}", "output": "x", **({"input": f"i {k}"} if k else {})}
        for k in range(8)
    ]
    found = load(tmp_path, made)
    assert sorted(e.context for e in (*found.train, *found.test)) == [
        "",
        *(f"i {k}" for k in range(1, 8)),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train", -1),
        ("train", 2.5),
        ("train", False),
        ("test", 0),
        ("test", 0.0),
        ("test", -1),
        ("test", 2.5),
    ],
)
def test_a_side_of_no_rows_is_refused(key, value):
    with pytest.raises(ValueError, match=r"above 0|neither a share"):
        DatasetEntry(name="t", **{key: value})


def test_more_rows_than_are_there_is_refused(tmp_path):
    with pytest.raises(HarnessError, match="50 rows are asked for, 8 are there"):
        load(tmp_path, rows("x"), rows=50)
