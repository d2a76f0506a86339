"""Labels read from model answers, and accuracy, F1 and confusion over the declared labels.

An answer that names no label is unparsed: a column of its own in the confusion matrix, a miss for
its gold class and never a class. Formulas equal scikit-learn's with `labels=` set to the declared
list and `zero_division=0`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from harness.counting import counted
from harness.errors import HarnessError
from harness.metrics.reading.exact import normalise_answer, normalise_reference
from harness.metrics.reading.labels import read_label
from harness.metrics.reading.reasoning import split_reasoning
from harness.metrics.registry import metric

if TYPE_CHECKING:
    from collections.abc import Sequence

UNPARSED = "unparsed"


class ClassScores(NamedTuple):
    """Precision, recall and F1 of one class in 0..1, and its number of gold examples."""

    precision: float
    recall: float
    f1: float
    support: int


class Confusion(NamedTuple):
    """Counts by gold label (rows) and predicted label (columns).

    Attributes:
        labels: Declared labels, shape (k,).
        counts: Shape (k, k + 1); the last column counts unparsed answers.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, shape (k + 1,)."""
        return (*self.labels, UNPARSED)

    @property
    def unparsed(self) -> tuple[int, ...]:
        """Unparsed answers per gold label, shape (k,)."""
        return tuple(row[-1] for row in self.counts)


@metric("exact_match", unit="share", higher_is_better=True, version=2, settings="normalised")
def exact_match(prediction: str, reference: str) -> float:
    """Gives 1.0 when both texts are equal after `normalise_answer`, else 0.0."""
    return float(normalise_answer(prediction) == normalise_reference(reference))


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """Gives the declared label that an answer means, or None; `docs/scoring.md` has the rules.

    Args:
        text: Answer of the model; its reasoning is cut off here too.
        labels: Declared labels.

    Raises:
        HarnessError: When two labels differ only in case or spacing.
    """
    reading = read_label(split_reasoning(text).text, labels)
    return reading.label if reading else None


def confusion(
    predicted: Sequence[str | None], gold: Sequence[str], labels: Sequence[str]
) -> Confusion:
    """Gives the confusion matrix; None, and a prediction outside `labels`, count as unparsed.

    Args:
        predicted: Parsed labels, shape (n,).
        gold: Gold labels, shape (n,).
        labels: Declared labels, shape (k,).

    Raises:
        HarnessError: On unequal lengths or a gold label that is not declared.
    """
    if len(predicted) != len(gold):
        raise HarnessError(
            f"{counted(len(predicted), 'prediction')} for {counted(len(gold), 'gold label')}"
        )
    unknown = sorted(set(gold) - set(labels))
    if unknown:
        raise HarnessError(
            f"gold labels that are not declared: {', '.join(unknown)}",
            hint=f"declared: {', '.join(labels)}",
        )
    known = set(labels)
    pairs = Counter(
        (want, got if got in known else None) for want, got in zip(gold, predicted, strict=True)
    )
    rows = [tuple(pairs[want, got] for got in (*labels, None)) for want in labels]
    return Confusion(tuple(labels), tuple(rows))


def per_class(matrix: Confusion) -> dict[str, ClassScores]:
    """Gives label -> scores for every declared label; an undefined ratio is 0."""
    scores = {}
    for k, label in enumerate(matrix.labels):
        hits, support = matrix.counts[k][k], sum(matrix.counts[k])
        guesses = sum(row[k] for row in matrix.counts)
        scores[label] = ClassScores(
            precision=hits / guesses if guesses else 0.0,
            recall=hits / support if support else 0.0,
            f1=2 * hits / (guesses + support) if guesses + support else 0.0,
            support=support,
        )
    return scores


def classification_scores(
    predicted: Sequence[str | None], gold: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """Gives accuracy, f1_macro, f1_weighted, precision_macro and recall_macro in 0..1.

    Macro means run over exactly the declared labels; weights are gold counts. An unparsed answer
    is wrong. See `confusion` for the arguments and the label errors.

    Raises:
        HarnessError: Also when there is no example or no label to score.
    """
    matrix = confusion(predicted, gold, labels)
    if not gold or not labels:
        raise HarnessError("no examples or no labels to score")
    scores = per_class(matrix).values()
    k, n = len(labels), len(gold)
    return {
        "accuracy": sum(matrix.counts[i][i] for i in range(k)) / n,
        "f1_macro": sum(s.f1 for s in scores) / k,
        "f1_weighted": sum(s.f1 * s.support for s in scores) / n,
        "precision_macro": sum(s.precision for s in scores) / k,
        "recall_macro": sum(s.recall for s in scores) / k,
    }
