from harness.datasets.example import Example, Splits
from harness.plan.task import Task
from harness.scoring.aggregation import aggregate
from harness.scoring.scoring import score_records
from harness.scoring.trivial import trivial_answers
from harness.suite.schema import Evaluation


def example(i, reference, gold=None):
    return Example(id=str(i), prompt=f"q{i}", reference=reference, gold=gold)


def task(kind="generation", labels=()):
    return Task(kind, "en", labels, Evaluation())


def test_the_majority_label_comes_from_training_alone():
    train = tuple(example(i, label) for i, label in enumerate("aab"))
    test = tuple(example(i, "b") for i in range(9))
    found = trivial_answers(Splits(train, test), task("classification", ("a", "b")))
    assert found == {"majority": "a"}


def test_numbers_have_their_most_frequent_answer_as_the_constant():
    train = (example(0, "It is 5.", "5"), example(1, "It is 7.", "7"), example(2, "So 7.", "7"))
    assert trivial_answers(Splits(train, ()), task()) == {"constant": "It is 7."}


def test_text_has_its_most_typical_answer_as_the_constant():
    train = (example(0, "pay the bill"), example(1, "pay the whole bill now"), example(2, "xyz"))
    assert trivial_answers(Splits(train, ()), task())["constant"] == "pay the bill"


def test_a_constant_answer_is_scored_like_a_model():
    records = [
        {"id": str(i), "prediction": "It is 5.", "reference": f"It is {gold}.", "gold": gold,
         "finish_reason": "stop", "example_prompt": "q"}
        for i, gold in enumerate(["7", "7", "5"])
    ]  # fmt: skip
    score_records(records, task())
    values = {v.metric: v for v in aggregate(records, task(), {"constant": "It is 7."})}
    assert values["numeric_accuracy"].value == 1 / 3
    assert values["numeric_accuracy_constant"].value == 2 / 3
    assert values["rougeL_constant"].n == 3
    assert "It is 7." in values["rougeL_constant"].note


def test_the_test_s_majority_is_scored_beside_the_training_rows():
    from harness.analysis.table import Row, Table
    from harness.results.result import CellResult
    from harness.scoring.aggregation import confusion_record

    labels = ("a", "b")
    records = [
        {"id": str(i), "label": gold, "predicted_label": "a", "prediction": "a", "scores": {},
         "reference": gold, "finish_reason": "stop", "example_prompt": "q"}
        for i, gold in enumerate("bbba")
    ]  # fmt: skip
    kind = task("classification", labels)
    score_records(records, kind)
    values = tuple(aggregate(records, kind, {"majority": "a"}))
    scores = {v.metric: (v.value, v.note) for v in values}
    assert scores["accuracy_majority"] == (0.25, 'always "a"')
    assert scores["accuracy_test_majority"] == (0.75, 'always "b"')
    assert scores["f1_macro_test_majority"][0] == 0.75 / 1.75  # 2p/(1+p) over two labels
    said = {
        'always the most frequent label in training ("a")': 0.25,
        'always the most frequent label in the test set ("b")': 0.75,
    }
    old = tuple(v for v in values if "test_majority" not in v.metric)
    for stored in (values, old):  # an older run has the counts alone
        cell = CellResult(
            "k", "ok", "m", "none", "base", "d", None, "f", "classification", "accuracy",
            values=stored, confusion=confusion_record(records, labels),
        )  # fmt: skip
        row = Row("m", "none", "base", (cell,), None, {})
        assert Table("d", "classification", "accuracy", (row,)).trivial() == said
