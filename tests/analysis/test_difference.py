from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.comparable import incomparable
from harness.analysis.difference import (
    Criteria,
    difference,
    differences,
)
from harness.analysis.family import holm_over, noise_floor
from harness.analysis.ties import SWAPS, RowScores, ties


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
    gain = difference("rougeL", {None: records(LOW)}, {0: records(HIGH)})
    loss = difference("rougeL", {None: records(HIGH)}, {0: records(LOW)})
    assert (gain.verdict, loss.verdict) == ("better", "worse")
    assert gain.delta == pytest.approx(-loss.delta)
    assert gain.won == loss.lost == len(LOW)


def test_a_gain_within_the_margin_is_equivalent():
    nearly = [score + 0.001 for score in LOW]
    found = difference(
        "rougeL", {None: records(LOW)}, {0: records(nearly)}, criteria=Criteria(margin=0.05)
    )
    assert found.verdict == "equivalent"


def test_seeds_that_disagree_widen_the_interval():
    lower = [score - 0.25 for score in HIGH]
    one = difference("rougeL", {None: records(LOW)}, {0: records(HIGH)})
    two = difference("rougeL", {None: records(LOW)}, {0: records(HIGH), 1: records(lower)})
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

    found = differences({None: side(["a"] * len(gold))}, {0: side(gold)}, labels=("a", "b", "c"))
    assert found["f1_macro"].delta == pytest.approx(1 - (2 / 3) / 3)
    assert found["f1_macro"].verdict == "better"


def test_holm_takes_a_verdict_back():
    gain = difference("rougeL", {None: records(LOW)}, {0: records(HIGH)})
    alone, beside = ([{"rougeL": replace(gain, p_value=0.03)}] * n for n in (1, 2))
    assert [d["rougeL"].verdict for d in holm_over(alone)] == ["better"]
    assert [d["rougeL"].verdict for d in holm_over(beside)] == ["undecided", "undecided"]
    assert [d["rougeL"].p_adjusted for d in holm_over(beside, [])] == [None, None]


def test_the_noise_floor_is_the_largest_of_either_side():
    assert noise_floor([{"rougeL": 0.1}, {}, {"rougeL": 0.2, "chrf": 0.3}]) == {
        "rougeL": 0.2,
        "chrf": 0.3,
    }


@pytest.mark.parametrize(
    ("metric", "said", "verdict"),
    [
        ("rougeL", {}, "better"),
        ("rougeL", {"rougeL": False}, "better"),
        ("eval_loss", {}, "worse"),
        ("my_error", {"my_error": False}, "worse"),
        ("my_error", {"my_error": True}, "better"),
        ("my_error", {"my_error": None}, "no direction"),
        ("my_error", {}, "no direction"),
    ],
)
def test_a_verdict_needs_a_direction(metric, said, verdict):
    before, after = (
        {i: {**r, "scores": {metric: r["scores"]["rougeL"]}} for i, r in records(side).items()}
        for side in (LOW, HIGH)
    )
    criteria = Criteria(directions=said)
    found = difference(metric, {None: before}, {0: after}, criteria=criteria)
    assert found.verdict == verdict
    gains = {"better": (12, 0), "worse": (0, 12)}.get(verdict, (12, 0))
    assert (found.won, found.lost) == gains
    assert holm_over([{metric: found}])[0][metric].verdict == verdict


def test_a_missing_p_value_is_neither_significant_nor_in_the_family():
    gain = difference("rougeL", {None: records(LOW)}, {0: records(HIGH)})
    unknown = replace(gain, p_value=None)
    known, other = holm_over([{"rougeL": replace(gain, p_value=0.03)}, {"rougeL": unknown}])
    assert known["rougeL"].p_adjusted == 0.03
    assert other["rougeL"].p_adjusted is None
    assert (known["rougeL"].verdict, other["rougeL"].verdict) == ("better", "undecided")


def test_other_examples_references_or_questions_are_not_comparable():
    here = records(LOW)
    assert incomparable(here, records(HIGH)) is None
    assert incomparable(here, records(HIGH[:-1])) is None
    others = {f"other-{i}": record for i, record in here.items()}
    assert "no example in common" in incomparable(here, others)
    assert "no predictions" in incomparable(here, {})
    assert "references differ" in incomparable(here, records(HIGH, reference="other"))
    assert "questions differ" in incomparable(here, records(HIGH, example_prompt="other"))


def test_rows_that_do_not_differ_share_a_letter():
    sides = [
        RowScores("low", {0: records(LOW)}),
        RowScores("low too", {0: records([s + 0.001 * (-1) ** i for i, s in enumerate(LOW)])}),
        RowScores("high", {0: records(HIGH)}),
    ]
    found = ties(sides, "rougeL", higher_is_better=True)
    assert found.pairs == 3
    assert found.letters["high"] == "a"
    assert found.letters["low"] == found.letters["low too"] == "b"
    assert found.p_values["low", "low too"] > 0.05 >= found.p_values["low", "high"]


def test_there_are_no_ties_where_examples_differ():
    sides = [RowScores("x", {0: records(LOW)}), RowScores("y", {0: records(HIGH[:-1])})]
    assert ties(sides, "rougeL", higher_is_better=True) is None


def test_three_equal_gains_are_no_proof_that_two_rows_differ():
    sides = [
        RowScores("a", {0: records([0.1, 0.2, 0.3])}),
        RowScores("b", {0: records([0.6, 0.7, 0.8])}),
    ]
    assert ties(sides, "rougeL", higher_is_better=True).letters == {"a": "a", "b": "a"}


def seeded(scores, seeds):
    """What training seeds do: each moves every score by as much as its number says."""
    return {k: records([s + 0.1 * k for s in scores]) for k in seeds}


GAINS = [0.02 * (1 + i % 5) for i in range(len(LOW))]
TUNED = [score + gain for score, gain in zip(LOW, GAINS, strict=True)]


def test_seeds_of_one_number_stand_together():
    whole = difference("rougeL", seeded(LOW, (0, 1, 2)), seeded(TUNED, (0, 1, 2)))
    failed = difference("rougeL", seeded(LOW, (0, 1, 2)), seeded(TUNED, (1, 2)))
    assert failed.per_seed == pytest.approx(whole.per_seed[1:])
    assert failed.delta == pytest.approx(np.mean(GAINS))
    assert failed.covers == "examples and 2 seeds"
    assert failed.verdict == "better"


def test_a_side_without_a_seed_stands_beside_every_seed():
    found = difference("rougeL", {None: records(LOW)}, seeded(TUNED, (3, 5)))
    assert found.per_seed == pytest.approx([np.mean(GAINS) + 0.3, np.mean(GAINS) + 0.5])
    back = difference("rougeL", seeded(TUNED, (3, 5)), {None: records(LOW)})
    assert back.per_seed == pytest.approx([-gap for gap in found.per_seed])


def test_one_seed_against_several_says_nothing_of_training_noise():
    found = difference("rougeL", seeded(LOW, (1,)), seeded(TUNED, (0, 1, 2)))
    assert (found.covers, found.per_seed) == ("examples", ())
    assert found.delta == pytest.approx(np.mean(GAINS))


def test_seeds_without_a_shared_number_pair_in_order_and_say_so():
    found = difference("rougeL", seeded(LOW, (0, 1)), seeded(TUNED, (2, 3)))
    assert found.per_seed == pytest.approx([np.mean(GAINS) + 0.2] * 2)
    assert found.covers == "examples and 2 seeds, paired in order: none is shared"


def test_a_seed_that_is_left_out_takes_no_example_away():
    partly = seeded(TUNED, (0, 1))
    partly[0] = {i: partly[0][i] for i in list(partly[0])[:3]}
    found = difference("rougeL", seeded(LOW, (1,)), partly)
    assert found.n == len(LOW)


def labelled(wrong):
    """Records of 24 texts in three classes, the first ``wrong`` called "a"."""
    return {
        str(i): {
            "id": str(i), "group": None, "label": g, "predicted_label": "a" if i < wrong else g,
            "scores": {"accuracy": float(i >= wrong or g == "a")},
        }
        for i, g in enumerate("abc" * 8)
    }  # fmt: skip


def test_macro_f1_ties_tell_the_least_p_value_that_permutations_give():
    rows = [
        RowScores("few", {0: labelled(1)}),
        RowScores("none", {0: labelled(0)}),
        RowScores("all", {0: labelled(24)}),
    ]
    found = ties(rows, "f1_macro", higher_is_better=True, labels=("a", "b", "c"))
    assert found.p_values["few", "all"] == found.least == 3 / (SWAPS + 1)
    assert found.p_values["few", "none"] == 1
    seeds = [RowScores(r.name, {0: r.seeds[0], 1: r.seeds[0]}) for r in rows]
    assert ties(seeds, "f1_macro", higher_is_better=True, labels=("a", "b", "c")).least == 0


def test_macro_f1_pairs_seeds_by_number():
    before = {0: labelled(20), 1: labelled(3), 2: labelled(6)}
    found = difference("f1_macro", before, {1: labelled(3), 2: labelled(6)}, labels=("a", "b", "c"))
    assert found.per_seed == (0, 0)
    assert found.won == found.lost == 0


def test_tie_letters_pair_seeds_by_number():
    rows = [RowScores("low", seeded(LOW, (0, 1, 2))), RowScores("tuned", seeded(TUNED, (1, 2)))]
    assert ties(rows, "rougeL", higher_is_better=True).letters == {"tuned": "a", "low": "b"}


def noisy(rng, n, shift=0.0):
    return records(rng.uniform(0.3, 0.6, n) + shift)


def test_what_can_be_detected_counts_training_noise():
    rng = np.random.default_rng(1)
    base = noisy(rng, 60)
    one = difference("rougeL", {None: base}, {0: noisy(rng, 60)})
    spread = {k: noisy(rng, 60, (k - 1) * 0.15) for k in range(3)}
    several = difference("rougeL", {None: base}, spread)
    assert one.detectable == pytest.approx(2.8 * 0.122 / np.sqrt(60), rel=0.15)
    assert several.detectable > 2.8 * 0.15 / np.sqrt(3) * 0.8


def test_what_can_be_detected_counts_groups_not_their_copies():
    rng = np.random.default_rng(2)
    before, after = rng.random(40), rng.random(40)
    once = difference("rougeL", {None: records(before)}, {0: records(after)})
    sides = [records(np.repeat(side, 4)) for side in (before, after)]
    for side in sides:
        for i, record in side.items():
            record["group"] = f"g{int(i) // 4}"
    copied = difference("rougeL", {None: sides[0]}, {0: sides[1]})
    assert copied.detectable == pytest.approx(once.detectable)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_difference_of_two_shares_lies_between_minus_1_and_1(size, seeds):
    groups = [str(k // size) for k in range(10)]

    def side(scores):
        made = records(scores)
        for i, group in enumerate(groups):
            made[str(i)]["group"] = group if size > 1 else None
        return made

    worse, better = [0.0] * 10, [1.0] * 8 + [0.0, 1.0]
    after = {seed: side([*better[seed:], *better[:seed]]) for seed in range(seeds)}
    gain = difference("rougeL", {None: side(worse)}, after)
    assert -1 <= gain.low <= gain.delta <= gain.high <= 1
    loss = difference("rougeL", after, {None: side(worse)})
    assert -1 <= loss.low <= loss.delta <= loss.high <= 1
    beyond = difference(
        "rougeL",
        {None: side([5.0 * x for x in worse])},
        {seed: side([50.0 * x for x in better]) for seed in range(seeds)},
    )
    assert beyond.high > 1  # other scores have no such bounds
