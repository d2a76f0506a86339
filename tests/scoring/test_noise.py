import pytest

from harness.analysis.difference import Criteria, difference
from harness.results.records import Noise
from harness.scoring.noise import noise_of


def records(scores, texts=None):
    return [
        {"id": str(i), "prediction": (texts or "abcdefgh")[i], "scores": {"rougeL": score}}
        for i, score in enumerate(scores)
    ]


def test_the_flip_rate_is_the_share_of_answers_that_changed():
    first = records([0.5, 0.5, 0.5, 0.5, 1.0])
    again = records([0.5, 0.3, 0.5, 0.9], texts="axcy")
    found = noise_of(first, {"again": again})
    assert found.flip_rate == {"again": 0.5}
    assert found.examples == 4
    assert found.floor["rougeL"] == pytest.approx((0.2 + 0.4) / 4)


def test_the_floor_is_the_worst_of_the_repeats():
    first = records([0.5, 0.5])
    repeats = {"again": records([0.5, 0.5]), "half batch": records([0.5, 0.1], texts="ax")}
    assert noise_of(first, repeats).floor["rougeL"] == pytest.approx(0.2)


def test_nothing_repeated_is_nothing_known():
    assert noise_of(records([0.5]), {}) == Noise()


def test_a_gain_below_the_floor_is_undecided():
    before = {r["id"]: r for r in records([0.1, 0.2, 0.3, 0.25, 0.15, 0.35])}
    after = {r["id"]: r for r in records([0.2, 0.31, 0.4, 0.35, 0.24, 0.45])}
    assert difference("rougeL", {None: before}, {0: after}).verdict == "better"
    noisy = Criteria(noise={"rougeL": 0.15})
    found = difference("rougeL", {None: before}, {0: after}, criteria=noisy)
    assert (found.verdict, found.noise_floor) == ("undecided", 0.15)


def test_the_floor_of_a_corpus_metric_is_the_change_of_its_value():
    def answered(guesses):
        return [
            {"id": str(i), "label": gold, "predicted_label": guess, "prediction": guess,
             "scores": {"accuracy": float(gold == guess)}}
            for i, (gold, guess) in enumerate(zip("aabb", guesses, strict=True))
        ]  # fmt: skip

    found = noise_of(answered("aabb"), {"again": answered("abbb")}, labels=("a", "b"))
    assert found.flip_rate == {"again": 0.25}
    assert found.floor["accuracy"] == 0.25
    assert found.floor["f1_macro"] == pytest.approx(1 - (2 / 3 + 4 / 5) / 2)
