from harness.analysis.flips import flips


def side(scores, metric="numeric_accuracy", **extra):
    return {
        str(i): {"id": str(i), "scores": {metric: score}, "prediction": str(score), **extra}
        for i, score in enumerate(scores)
    }


def test_right_and_wrong_are_counted_both_ways():
    found = flips(side([1.0, 0.0, 1.0, 0.0]), side([1.0, 1.0, 0.0, 0.0]), "numeric_accuracy")
    assert (found.won, found.lost, found.both_right, found.both_wrong) == (1, 1, 1, 1)
    assert [flip.id for flip in found.regressions] == ["2"]


def test_the_worst_regression_stands_first():
    found = flips(side([0.9, 0.8, 0.1], "rougeL"), side([0.5, 0.1, 0.9], "rougeL"), "rougeL")
    assert [(flip.id, round(flip.loss, 3)) for flip in found.regressions] == [
        ("1", 0.7),
        ("0", 0.4),
    ]
    assert found.both_right is found.both_wrong is None


def test_where_lower_is_better_a_rise_is_lost():
    found = flips(side([1.0], "eval_loss"), side([2.0], "eval_loss"), "eval_loss")
    assert (found.won, found.lost) == (0, 1)


def test_macro_f1_flips_are_those_of_accuracy():
    found = flips(side([1.0], "accuracy"), side([0.0], "accuracy"), "f1_macro")
    assert (found.metric, found.lost) == ("accuracy", 1)


def test_unparsed_answers_are_counted_on_each_side():
    first, second = side([0.0, 0.0], extracted=None), side([1.0, 0.0], extracted="5")
    found = flips(first, second, "numeric_accuracy")
    assert (found.unparsed_first, found.unparsed_second) == (2, 0)
    assert flips(side([0.0]), side([0.0]), "numeric_accuracy").unparsed_first is None


def test_nothing_shared_is_no_flip():
    assert flips(side([1.0], "rougeL"), side([1.0], "chrf"), "rougeL") is None
