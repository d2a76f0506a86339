"""Sentence chrF: F-score over character n-grams, a check that needs no tokenizer.

Source: Popovic 2015, "chrF: character n-gram F-score for automatic MT evaluation"; formula of
sacreBLEU (effective order, no epsilon smoothing), which prints 0..100 where this gives 0..1.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from harness.metrics.record import REMEMBERED
from harness.metrics.registry import metric


def _ngrams(text: str, order: int) -> Counter[str]:
    """Gives the counts of all character n-grams of one order."""
    return Counter([text[i : i + order] for i in range(len(text) - order + 1)])


@metric(
    "chrf",
    unit="F2",
    higher_is_better=True,
    version=2,
    settings="beta:2|order:6",
    shown=("leaderboard", "card"),
)
@lru_cache(maxsize=REMEMBERED)
def chrf(prediction: str, reference: str, *, char_order: int = 6, beta: float = 2.0) -> float:
    """Gives the sentence chrF of one prediction in 0..1 (sacreBLEU's number divided by 100).

    Whitespace is removed and case kept. Precision and recall are averaged over the orders that
    both texts are long enough for. An empty text scores 0.

    Args:
        prediction: Text of the model.
        reference: Text to match.
        char_order: Longest n-gram, in characters.
        beta: Weight of recall against precision.
    """
    left, right = "".join(prediction.split()), "".join(reference.split())
    orders = min(char_order, len(left), len(right))
    if orders < 1:
        return 0.0
    precision = recall = 0.0
    for order in range(1, orders + 1):
        ours, wanted = _ngrams(left, order), _ngrams(right, order)
        hits = sum([min(ours[gram], wanted[gram]) for gram in ours.keys() & wanted.keys()])
        precision += hits / (len(left) - order + 1)
        recall += hits / (len(right) - order + 1)
    precision /= orders
    recall /= orders
    if precision + recall == 0:
        return 0.0
    factor = beta**2
    return (1 + factor) * precision * recall / (factor * precision + recall)
