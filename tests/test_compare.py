import numpy as np
import pytest

from harness.compare import Criteria, difference, differences, incomparable, with_adjusted
from harness.ranking import Side, ties


def records(scores, **extra):
    return {
        str(i): {
            "id": str(i), "group": None, "reference": "r", "example_prompt": "p",
            "scores": {"rougeL": score}, **extra,
        }
        for i, score in enumerate(scores)
    }  # fmt: skip


LOW = [0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2, 0.3, 0.1, 0.2, 0.15, 0.25]
HIGH = [score + 0.3 + 0.01 * (i % 3) for i, score in enumerate(LOW)]


def test_a_clear_gain_is_better_and_its_mirror_worse():
    gain = difference("rougeL", [records(LOW)], [records(HIGH)])
    loss = difference("rougeL", [records(HIGH)], [records(LOW)])
    assert (gain.verdict, loss.verdict) == ("better", "worse")
    assert gain.delta == pytest.approx(-loss.delta)
    assert gain.won == loss.lost == len(LOW)


def test_a_gain_within_the_margin_is_equivalent():
    nearly = [score + 0.001 for score in LOW]
    found = difference("rougeL", [records(LOW)], [records(nearly)], criteria=Criteria(margin=0.05))
    assert found.verdict == "equivalent"


def test_seeds_that_disagree_widen_the_interval():
    lower = [score - 0.25 for score in HIGH]
    one = difference("rougeL", [records(LOW)], [records(HIGH)])
    two = difference("rougeL", [records(LOW)], [records(HIGH), records(lower)])
    assert two.high - two.low > one.high - one.low
    assert two.covers == "examples and 2 seeds"


def test_macro_f1_is_compared_as_a_whole():
    gold = ["a", "a", "a", "b", "b", "c"] * 4

    def side(predicted):
        return {
            str(i): {
                "id": str(i), "group": None, "label": g, "predicted_label": p,
                "scores": {"accuracy": float(g == p)},
            }
            for i, (g, p) in enumerate(zip(gold, predicted, strict=True))
        }  # fmt: skip

    found = differences([side(["a"] * len(gold))], [side(gold)], labels=("a", "b", "c"))
    assert found["f1_macro"].delta == pytest.approx(1 - (2 / 3) / 3)
    assert found["f1_macro"].verdict == "better"


def test_holm_takes_a_verdict_back():
    gain = difference("rougeL", [records(LOW)], [records(HIGH)])
    assert with_adjusted(gain, 0.04).verdict == "better"
    assert with_adjusted(gain, 0.06).verdict == "undecided"


def test_other_examples_references_or_questions_are_not_comparable():
    here = records(LOW)
    assert incomparable(here, records(HIGH)) is None
    assert "stand on one side" in incomparable(here, records(HIGH[:-1]))
    assert "no predictions" in incomparable(here, {})
    assert "references differ" in incomparable(here, records(HIGH, reference="other"))
    assert "questions differ" in incomparable(here, records(HIGH, example_prompt="other"))


def test_rows_that_do_not_differ_share_a_letter():
    sides = [
        Side("low", (records(LOW),)),
        Side("low too", (records([s + 0.001 * (-1) ** i for i, s in enumerate(LOW)]),)),
        Side("high", (records(HIGH),)),
    ]
    found = ties(sides, "rougeL", higher_is_better=True)
    assert found.pairs == 3
    assert found.letters["high"] == "a"
    assert found.letters["low"] == found.letters["low too"] == "b"


def test_there_are_no_ties_where_examples_differ():
    sides = [Side("x", (records(LOW),)), Side("y", (records(HIGH[:-1]),))]
    assert ties(sides, "rougeL", higher_is_better=True) is None


def test_three_equal_gains_are_no_proof_that_two_rows_differ():
    sides = [Side("a", (records([0.1, 0.2, 0.3]),)), Side("b", (records([0.6, 0.7, 0.8]),))]
    assert ties(sides, "rougeL", higher_is_better=True).letters == {"a": "a", "b": "a"}


def noisy(rng, n, shift=0.0):
    return records(rng.uniform(0.3, 0.6, n) + shift)


def test_what_can_be_detected_counts_training_noise():
    rng = np.random.default_rng(1)
    base = noisy(rng, 60)
    one = difference("rougeL", [base], [noisy(rng, 60)])
    spread = [noisy(rng, 60, shift) for shift in (-0.15, 0.0, 0.15)]
    several = difference("rougeL", [base], spread)
    assert one.detectable == pytest.approx(2.8 * 0.122 / np.sqrt(60), rel=0.15)
    assert several.detectable > 2.8 * 0.15 / np.sqrt(3) * 0.8


def test_what_can_be_detected_counts_groups_not_their_copies():
    rng = np.random.default_rng(2)
    before, after = rng.random(40), rng.random(40)
    once = difference("rougeL", [records(before)], [records(after)])
    sides = [records(np.repeat(side, 4)) for side in (before, after)]
    for side in sides:
        for i, record in side.items():
            record["group"] = f"g{int(i) // 4}"
    copied = difference("rougeL", [sides[0]], [sides[1]])
    assert copied.detectable == pytest.approx(once.detectable)
