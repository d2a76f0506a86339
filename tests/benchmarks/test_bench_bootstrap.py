"""10,000 resamples of 1,000 examples against scipy.stats.bootstrap, side by side in one run."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.statistics import bca, draws, macro_f1_difference, macro_f1_interval, sign_flip

EXAMPLES = 1000
RESAMPLES = 10_000
LABELS = tuple("abcde")
MAX_SECONDS = 1.0


def _labels() -> tuple[list[str], list[str], list[str]]:
    """Gives gold labels and the predictions of two variants, 60 and 70 % right."""
    rng = np.random.default_rng(0)
    gold = rng.choice(LABELS, EXAMPLES)
    guesses = [
        np.where(rng.random(EXAMPLES) < share, gold, rng.choice(LABELS, EXAMPLES)).tolist()
        for share in (0.6, 0.7)
    ]
    return gold.tolist(), guesses[0], guesses[1]


def _coded_macro_f1(gold: np.ndarray, guess: np.ndarray) -> float:  # type: ignore[type-arg]
    """Macro-F1 of label numbers from one confusion matrix, as fast as one call in numpy gets."""
    size = len(LABELS)
    table = np.bincount(gold * size + guess, minlength=size * size).reshape(size, size)
    return float(np.mean(2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1))))


def test_a_drawn_bca_of_a_mean_is_many_times_as_fast_as_scipys(
    benchmark, best_seconds, figure
) -> None:  # type: ignore[no-untyped-def]
    values = np.random.default_rng(0).random(EXAMPLES)
    listed = values.tolist()

    def theirs() -> object:
        rng = np.random.default_rng(0)
        return scipy.stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, batch=1000, rng=rng)

    def first() -> object:
        draws._kept.cache_clear()
        return bca(listed, resamples=RESAMPLES)

    ours = benchmark(bca, listed, resamples=RESAMPLES)
    fast = best_seconds(lambda: bca(listed, resamples=RESAMPLES), 5)
    alone = best_seconds(first, 3)
    slow = best_seconds(theirs, 3)
    wanted = theirs().confidence_interval  # type: ignore[attr-defined]
    ratios = {"first": round(slow / alone, 1), "later": round(slow / fast, 1)}
    figure(
        "10,000 resamples of a mean, drawn once, against scipy.stats.bootstrap", "> 4 times",
        f"{ratios['later']} times", ratios["later"] > 4,
        more={"the first of a size, which draws": f"{ratios['first']} times"},
        seconds={"ours": fast, "the first": alone, "scipy": slow},
    )  # fmt: skip
    assert ours == pytest.approx((wanted.low, wanted.high), abs=0.002)
    assert alone < MAX_SECONDS
    assert ratios["later"] > 4


def test_a_permutation_is_many_times_as_fast_as_scipys(benchmark, best_seconds, figure) -> None:  # type: ignore[no-untyped-def]
    d = np.random.default_rng(1).normal(0.05, 1, 300)

    def theirs() -> object:
        return scipy.stats.permutation_test(
            (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES,
            rng=np.random.default_rng(0), axis=0, batch=1000,
        )  # fmt: skip

    ours = benchmark(sign_flip, d, resamples=RESAMPLES)
    fast = best_seconds(lambda: sign_flip(d, resamples=RESAMPLES), 5)
    slow = best_seconds(theirs, 1)
    ratio = slow / fast
    figure(
        "10,000 sign flips against scipy.stats.permutation_test", "> 4 times",
        f"{ratio:.1f} times", ratio > 4, seconds={"ours": fast, "scipy": slow},
    )  # fmt: skip
    assert ours == pytest.approx(theirs().pvalue, abs=0.025)  # type: ignore[attr-defined]
    assert ratio > 4


def test_macro_f1_is_many_times_as_fast_as_scipys(benchmark, best_seconds, figure) -> None:  # type: ignore[no-untyped-def]
    gold, _, guess = _labels()
    codes = [np.array([LABELS.index(v) for v in column]) for column in (gold, guess)]

    def theirs() -> object:
        return scipy.stats.bootstrap(
            codes, _coded_macro_f1, paired=True, vectorized=False, n_resamples=RESAMPLES,
            method="BCa", rng=np.random.default_rng(0),
        )  # fmt: skip

    ours = benchmark(macro_f1_interval, gold, guess, LABELS, resamples=RESAMPLES)
    fast = best_seconds(lambda: macro_f1_interval(gold, guess, LABELS, resamples=RESAMPLES), 5)
    slow = best_seconds(theirs, 1)
    ratio = slow / fast
    wanted = theirs().confidence_interval  # type: ignore[attr-defined]
    figure(
        "10,000 resamples of macro-F1 against scipy.stats.bootstrap", "> 4 times",
        f"{ratio:.1f} times", ratio > 4, seconds={"ours": fast, "scipy": slow},
    )  # fmt: skip
    assert ours == pytest.approx((wanted.low, wanted.high), abs=0.003)
    assert fast < MAX_SECONDS
    assert ratio > 4


def test_a_clustered_macro_f1_difference_stays_within_a_second(
    benchmark, best_seconds, figure
) -> None:  # type: ignore[no-untyped-def]
    gold, before, after = _labels()
    clusters = [i // 2 for i in range(EXAMPLES)]

    def call() -> object:
        return macro_f1_difference(gold, before, after, LABELS, clusters=clusters)

    benchmark(call)
    taken = best_seconds(call, 3)
    figure(
        "10,000 resamples of a clustered difference of macro-F1", f"≤ {MAX_SECONDS:.0f} s",
        f"{taken:.2f} s", taken < MAX_SECONDS,
    )  # fmt: skip
    assert taken < MAX_SECONDS
