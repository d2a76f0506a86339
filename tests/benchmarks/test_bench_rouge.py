"""Throughput of ROUGE against rouge_score on texts of 60 to 150 words, in one run."""

from __future__ import annotations

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from harness.metrics.rouge import rouge_many

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
VOCABULARY = [f"word{rank}" for rank in range(2000)]
ZIPF = [1 / (rank + 3) for rank in range(2000)]
MIN_RATIO = {1: 20, 5: 12}  # by lines per text; the union LCS of many lines costs more


def _texts(lines: int, count: int = 60) -> tuple[list[str], list[str]]:
    """Gives predictions and references: Zipf words, half of them shared in place."""
    rng = random.Random(0)
    predictions, references = [], []
    for _ in range(count):
        words = rng.choices(VOCABULARY, ZIPF, k=rng.randint(60, 150))
        changed = [w if rng.random() < 0.5 else rng.choices(VOCABULARY, ZIPF)[0] for w in words]
        for out, text in ((references, words), (predictions, changed)):
            step = -(-len(text) // lines)
            out.append("\n".join(" ".join(text[i : i + step]) for i in range(0, len(text), step)))
    return predictions, references


@pytest.mark.parametrize("lines", [1, 5])
def test_rouge_many_is_many_times_as_fast_as_rouge_score(
    benchmark, best_seconds, figure, lines: int
) -> None:  # type: ignore[no-untyped-def]
    predictions, references = _texts(lines)
    scorer = RougeScorer(TYPES, use_stemmer=False)

    def theirs() -> list[object]:
        return [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]

    ours = benchmark(rouge_many, predictions, references, tokenizer="rouge_score")
    fast = best_seconds(lambda: rouge_many(predictions, references, tokenizer="rouge_score"), 7)
    slow = best_seconds(theirs, 3)
    ratio = slow / fast
    figure(
        f"ROUGE of 60 texts of {lines} lines against rouge_score", f"≥ {MIN_RATIO[lines]} times",
        f"{ratio:.1f} times", ratio >= MIN_RATIO[lines],
        seconds={"rouge_score": slow, "harness": fast},
    )  # fmt: skip
    print(f"\nlines={lines}: {ratio:.1f} times the throughput of rouge_score")
    assert [s["rougeLsum"].fmeasure for s in theirs()] == [s.rougeLsum for s in ours]
    assert ratio >= MIN_RATIO[lines]
