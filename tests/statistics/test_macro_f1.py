import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.statistics import (
    agresti_min,
    macro_f1_crossed,
    macro_f1_difference,
    macro_f1_interval,
    macro_f1_swap,
    wilson,
)

LABELS = ("a", "b", "c")


def _answers(rng, n, accuracy):
    gold = rng.choice(LABELS, n, p=[0.6, 0.3, 0.1])
    right = rng.random(n) < accuracy
    return gold.tolist(), np.where(right, gold, rng.choice(LABELS, n)).tolist()


def _macro(gold, predicted):
    return f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0)


def test_the_interval_is_that_of_resampling_examples_one_by_one():
    rng = np.random.default_rng(1)
    gold, guess = (np.array(v) for v in _answers(rng, 150, 0.6))
    rows = rng.integers(0, 150, (600, 150))
    slow = np.array([_macro(gold[r], guess[r]) for r in rows])
    low, high = macro_f1_interval(gold.tolist(), guess.tolist(), LABELS)
    assert low < _macro(gold, guess) < high
    assert (high - low) == pytest.approx(np.ptp(np.quantile(slow, [0.025, 0.975])), rel=0.15)


def test_clusters_of_one_give_the_interval_of_examples():
    gold, guess = _answers(np.random.default_rng(2), 120, 0.6)
    plain = macro_f1_interval(gold, guess, LABELS)
    single = macro_f1_interval(gold, guess, LABELS, clusters=range(120))
    assert single == pytest.approx(plain, abs=0.01)


def test_repeated_examples_in_clusters_widen_the_interval():
    gold, guess = _answers(np.random.default_rng(2), 60, 0.6)
    ids = np.repeat(np.arange(60), 4).tolist()
    gold, guess = (np.repeat(v, 4).tolist() for v in (gold, guess))
    naive = macro_f1_interval(gold, guess, LABELS)
    whole = macro_f1_interval(gold, guess, LABELS, clusters=ids)
    assert whole.high - whole.low > 1.6 * (naive.high - naive.low)


def test_the_macro_f1_interval_covers_the_truth():
    rng = np.random.default_rng(3)
    truth = _macro(*_answers(rng, 300_000, 0.6))
    hits = 0
    for k in range(400):
        low, high = macro_f1_interval(*_answers(rng, 200, 0.6), LABELS, resamples=800, seed=k)
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_the_difference_is_scikit_learns():
    rng = np.random.default_rng(4)
    gold, before = _answers(rng, 80, 0.5)
    after = np.where(rng.random(80) < 0.5, gold, before).tolist()
    found = macro_f1_difference(gold, before, after, LABELS)
    assert found.delta == pytest.approx(_macro(gold, after) - _macro(gold, before))
    assert found.low < found.delta < found.high
    assert found.p_value == macro_f1_swap(gold, before, after, LABELS)


def test_the_swap_p_value_is_that_of_every_swap_enumerated():
    gold, before, after = list("aabbcc"), list("abbacb"), list("aabccc")
    gaps = []
    for mask in range(64):
        pairs = [
            (y, x) if mask >> i & 1 else (x, y)
            for i, (x, y) in enumerate(zip(before, after, strict=True))
        ]
        gaps.append(_macro(gold, [q for _, q in pairs]) - _macro(gold, [p for p, _ in pairs]))
    exact = np.mean(np.abs(gaps) >= abs(gaps[0]) - 1e-12)
    assert macro_f1_swap(gold, before, after, LABELS) == pytest.approx(exact, abs=0.02)


def test_swap_finds_a_difference_in_at_most_7_percent_of_equal_variants():
    rng = np.random.default_rng(5)
    hits = 0
    for k in range(500):
        gold, before = _answers(rng, 100, 0.6)
        after = np.where(rng.random(100) < 0.6, gold, rng.choice(LABELS, 100)).tolist()
        hits += macro_f1_swap(gold, before, after, LABELS, resamples=500, seed=k) <= 0.05
    assert 0.02 <= hits / 500 <= 0.07


def test_equal_predictions_differ_by_nothing():
    gold, guess = _answers(np.random.default_rng(6), 40, 0.6)
    found = macro_f1_difference(gold, guess, guess, LABELS)
    assert (found.delta, found.p_value) == (0, 1)
    assert found.low == -found.high < 0


def test_answers_that_are_all_right_or_all_wrong_are_no_certainty():
    gold = ["a"] * 40 + ["b"] * 10 + ["c"] * 30
    # as sure as of 3 labels × the 10 examples of the rarest
    assert macro_f1_interval(gold, gold, "abc") == wilson(30, 30)
    assert macro_f1_interval(gold, ["none"] * 80, "abc") == wilson(0, 30)
    pairs = [i // 2 for i in range(80)]  # the rarest label is in 5 of them
    assert macro_f1_interval(gold, gold, "abc", clusters=pairs) == wilson(15, 15)


def test_sides_that_agree_everywhere_may_still_differ():
    gold = ["a"] * 40 + ["b"] * 10
    found = macro_f1_difference(gold, gold, gold, "ab")
    assert (found.delta, found.p_value) == (0, 1)
    assert (found.low, found.high) == agresti_min(0, 0, 20)


@pytest.mark.parametrize("rare", [0.1, 1 / 3])
def test_the_interval_of_a_nearly_perfect_model_covers_the_truth(rare):
    """Errors of 1% in every label: most samples of 60 have none, and the bootstrap no width."""
    rng = np.random.default_rng(21)
    shares = np.array([rare, (1 - rare) / 2, (1 - rare) / 2])
    labels = np.arange(3)

    def sample(n):
        gold = rng.choice(labels, n, p=shares)
        wrong = rng.random(n) < 0.01
        return gold, np.where(wrong, (gold + rng.integers(1, 3, n)) % 3, gold)

    gold, told = sample(400_000)
    truth = f1_score(gold, told, average="macro")
    inside = perfect = 0
    for _ in range(300):
        gold, told = (side.tolist() for side in sample(60))
        low, high = macro_f1_interval(gold, told, range(3), resamples=400)
        inside += low <= truth <= high
        perfect += gold == told
    assert perfect > 100
    assert inside / 300 >= 0.93


def test_an_unparsed_prediction_is_a_miss_and_an_unknown_gold_is_refused():
    assert macro_f1_interval(["a", "b"], [None, None], ("a", "b")) == wilson(0, 2)
    with pytest.raises(ValueError, match="outside the declared"):
        macro_f1_interval(["a", "z"], ["a", "a"], ("a", "b"))


def test_one_seed_crossed_agrees_with_the_bootstrap():
    rng = np.random.default_rng(20)
    gold, before = _answers(rng, 200, 0.5)
    after = np.where(rng.random(200) < 0.3, gold, before).tolist()
    plain = macro_f1_difference(gold, before, after, LABELS)
    crossed = macro_f1_crossed(gold, [before], [after], LABELS)
    assert crossed.delta == pytest.approx(plain.delta)
    assert crossed.high - crossed.low == pytest.approx(plain.high - plain.low, rel=0.1)


def test_macro_f1_crossed_with_seeds_covers_the_truth():
    """Seeds differ in accuracy; the truth is the mean gap over many of them."""
    rng = np.random.default_rng(21)

    def trained(gold, accuracy):
        right = rng.random(len(gold)) < accuracy
        return np.where(right, gold, rng.choice(LABELS, len(gold))).tolist()

    big = rng.choice(LABELS, 60_000, p=[0.6, 0.3, 0.1])
    truth = np.mean([_macro(big, trained(big, a)) for a in rng.normal(0.65, 0.04, 60)])
    truth -= _macro(big, trained(big, 0.5))
    hits = 0
    for _ in range(400):
        gold = rng.choice(LABELS, 200, p=[0.6, 0.3, 0.1])
        seeds = [trained(gold, a) for a in rng.normal(0.65, 0.04, 5)]
        found = macro_f1_crossed(gold.tolist(), [trained(gold, 0.5)], seeds, LABELS)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.985


def test_a_clustered_swap_keeps_its_level_where_one_of_examples_does_not():
    rng = np.random.default_rng(22)
    codes = np.repeat(np.arange(25), 6)
    clustered = naive = 0
    for k in range(300):
        gold = rng.choice(LABELS, 25)[codes]
        sides = [
            np.where((rng.random(25) < 0.5)[codes], gold, rng.choice(LABELS, 25)[codes]).tolist()
            for _ in range(2)
        ]
        options = {"resamples": 500, "seed": k}
        whole = macro_f1_swap(gold.tolist(), *sides, LABELS, clusters=codes.tolist(), **options)
        clustered += whole <= 0.05
        naive += macro_f1_swap(gold.tolist(), *sides, LABELS, **options) <= 0.05
    assert 0.02 <= clustered / 300 <= 0.08
    assert naive / 300 > 0.2


def test_clusters_of_one_swap_as_examples():
    rng = np.random.default_rng(23)
    gold, before = _answers(rng, 80, 0.5)
    after = np.where(rng.random(80) < 0.2, gold, before).tolist()
    pairs = [*range(79), 78]  # one cluster of two, so that clusters count
    found = macro_f1_swap(gold, before, after, LABELS, clusters=pairs)
    assert found == pytest.approx(macro_f1_swap(gold, before, after, LABELS), abs=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_a_gain_of_half_the_scale_has_the_smallest_p_value_that_swaps_can_give(seed):
    """A baseline that says one label for everything, against one that is right in four of five."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(LABELS, 120)
    after = np.where(rng.random(120) < 0.8, gold, rng.choice(LABELS, 120))
    before = [LABELS[0]] * 120
    found = macro_f1_swap(gold.tolist(), before, after.tolist(), LABELS, resamples=1000, seed=seed)
    assert found == 1 / 1001
