"""Trivial baselines: scores of answers that need no model, on the same examples.

The majority label, one constant answer for everything, and the prompt copied as the answer. A
fine-tuned model that does not beat them has learned nothing that counts.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

from harness.datasets.example import Splits
from harness.metrics.rouge import rouge_of
from harness.plan.task import Task

CANDIDATES = 60
"""How many training answers compete for the most typical one: 60 make 1,770 pairs to score."""


def trivial_answers(splits: Splits, task: Task) -> dict[str, str]:
    """The answers that the trivial baselines give, chosen from training rows alone.

    Returns:
        For labels `majority`. For text `constant`: where answers are numbers, a training answer
        with the most frequent number, else the one most like the others by ROUGE-L. Nothing for a
        data set that only tests.
    """
    if not splits.train:
        return {}
    if task.task == "classification":
        return {"majority": Counter(e.reference for e in splits.train).most_common(1)[0][0]}
    golds = Counter(e.gold for e in splits.train if e.gold is not None)
    if golds:
        gold = golds.most_common(1)[0][0]
        return {"constant": next(e.reference for e in splits.train if e.gold == gold)}
    return {"constant": _most_typical([e.reference for e in splits.train], task)}


def _most_typical(answers: list[str], task: Task) -> str:
    distinct = list(dict.fromkeys(answers))
    # seeded apart from the suite: the yardstick must not move with a training seed
    if len(distinct) > CANDIDATES:
        distinct = random.Random(0).sample(distinct, CANDIDATES)
    pairs = list(itertools.combinations(range(len(distinct)), 2))  # ROUGE-L's F1 is symmetric
    scores = rouge_of([distinct[i] for i, _ in pairs], [distinct[j] for _, j in pairs], task)
    totals = [0.0] * len(distinct)
    for (i, j), score in zip(pairs, scores, strict=True):
        totals[i] += score.rougeL
        totals[j] += score.rougeL
    return distinct[totals.index(max(totals))]
