"""The noise floor: how far a baseline's scores move when it is evaluated again, unchanged.

Greedy decoding is not bit-stable over batch compositions and kernels, and sampling differs anyway.
A gain that is smaller than the change by mere repetition may be no more than that.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from harness.metrics.prediction import Prediction
from harness.metrics.registry import registered
from harness.results.records import Noise


def noise_of(
    records: Sequence[Prediction],
    repeats: Mapping[str, Sequence[Prediction]],
    labels: Sequence[str] = (),
) -> Noise:
    """What repeating the evaluation changed, over the examples that were repeated.

    Args:
        records: Scored records of the evaluation that counts.
        repeats: How the repeat was made → scored records of its first examples, in order.
        labels: The declared labels of a classification task.

    Returns:
        What moved; empty without repeats. The floor is, of a mean of scores, the mean absolute
        change of a score (for right or wrong it is the flip rate), of a corpus metric such as
        macro-F1 the absolute change of its value over these examples.
    """
    if not repeats:
        return Noise()
    flips = {name: _changed(records, again) for name, again in repeats.items()}
    floors: dict[str, float] = {}
    for again in repeats.values():
        moves = _moves(records, again) | _corpus_moves(records[: len(again)], again, labels)
        for metric, change in moves.items():
            floors[metric] = max(change, floors.get(metric, 0.0))
    examples = min(len(again) for again in repeats.values())
    return Noise(examples, flips, floors)


def _changed(records: Sequence[Prediction], again: Sequence[Prediction]) -> float:
    pairs = list(zip(records, again, strict=False))
    return statistics.fmean(a["prediction"] != b["prediction"] for a, b in pairs)


def _moves(records: Sequence[Prediction], again: Sequence[Prediction]) -> dict[str, float]:
    moves: dict[str, list[float]] = {}
    for first, second in zip(records, again, strict=False):
        for metric, score in second["scores"].items():
            moves.setdefault(metric, []).append(abs(score - first["scores"][metric]))
    return {metric: statistics.fmean(values) for metric, values in moves.items()}


def _corpus_moves(
    first: Sequence[Prediction], again: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, float]:
    """Corpus metric of the labels → how far its value moved."""
    moves = {}
    for metric in registered():
        if metric.reads == "label" and metric.corpus:
            before, after = (metric.corpus.value(side, labels) for side in (first, again))
            if before is not None and after is not None:
                moves[metric.name] = abs(after - before)
    return moves
