"""Sentence chrF: F-score over character n-grams, a check that needs no tokenizer.

Source: Popovic 2015, "chrF: character n-gram F-score for automatic MT evaluation"; formula of
sacreBLEU (effective order, no epsilon smoothing), which prints 0..100 where this gives 0..1.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.metrics.ngrams import shared_ngrams
from harness.metrics.record import REMEMBERED, ScoredTask, Scores
from harness.metrics.registry import metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ORDER = 6
BETA = 2.0
TOGETHER = 512
"""Pairs that are counted in one call of NumPy; with characters and orders they fill 64 bits."""
CHARACTERS = 2**18
"""Characters of such pairs, unless one pair has more: some 20 MB of numbers."""
FEW = 16
"""Fewer pairs are counted in Python: NumPy's calls alone cost as much."""


def _ngrams(text: str, order: int) -> Counter[str]:
    """Gives the counts of all character n-grams of one order."""
    return Counter([text[i : i + order] for i in range(len(text) - order + 1)])


def _packed(text: str) -> str:
    return "".join(text.split())


@lru_cache(maxsize=REMEMBERED)
def chrf(prediction: str, reference: str, *, char_order: int = ORDER, beta: float = BETA) -> float:
    """Gives the sentence chrF of one prediction in 0..1 (sacreBLEU's number divided by 100).

    Whitespace is removed and case kept. Precision and recall are averaged over the orders that
    both texts are long enough for. An empty text scores 0.

    Args:
        prediction: Text of the model.
        reference: Text to match.
        char_order: Longest n-gram, in characters.
        beta: Weight of recall against precision.
    """
    left, right = _packed(prediction), _packed(reference)
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


@metric(
    "chrf",
    takes="pairs",
    unit="F2",
    higher_is_better=True,
    version=2,
    settings="beta:2|order:6",
    shown=("leaderboard", "card"),
)
def chrf_scores(
    predictions: Sequence[str], references: Sequence[str], _: ScoredTask
) -> list[Scores]:
    """`chrf` of every pair."""
    return [{"chrf": score} for score in chrf_many(predictions, references)]


def chrf_many(predictions: Sequence[str], references: Sequence[str]) -> list[float]:
    """Gives `chrf` of every (prediction, reference) pair, to the last digit, four times as fast."""
    found: list[float] = []
    for pairs in _batches(list(zip(predictions, references, strict=True))):
        scores = _counted_together(pairs) if len(pairs) >= FEW else None
        found += [chrf(*pair) for pair in pairs] if scores is None else scores
    return found


def _batches(pairs: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    characters = 0
    for pair in pairs:
        size = len(pair[0]) + len(pair[1])
        if batch and (len(batch) == TOGETHER or characters + size > CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(pair)
        characters += size
    if batch:
        yield batch


def _counted_together(pairs: list[tuple[str, str]]) -> list[float] | None:
    """The chrF of ``pairs``; None where their n-grams do not fit into 64 bits.

    The same operations on the same numbers in the same order as in `chrf`, so the same results.
    """
    import numpy as np

    texts = [_packed(text) for pair in pairs for text in pair]
    hits = shared_ngrams(texts, ORDER)
    if hits is None:
        return None
    lengths = np.array([len(text) for text in texts]).reshape(-1, 2)
    orders = np.minimum(lengths.min(axis=1), ORDER)
    sides = []
    for own in lengths.T:
        mean = np.zeros(len(pairs))
        for order in range(1, ORDER + 1):
            # no hits where a text is shorter than the order: adding 0 changes nothing
            mean += hits[order - 1] / np.maximum(own - order + 1, 1)
        sides.append(mean / np.maximum(orders, 1))
    precision, recall = sides
    factor = BETA**2
    among = np.where(precision + recall == 0, 1.0, factor * precision + recall)
    scores: list[float] = ((1 + factor) * precision * recall / among).tolist()
    return scores
