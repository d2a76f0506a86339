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
