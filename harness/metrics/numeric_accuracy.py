"""Whether the number in an answer is the gold one, to its own decimals or within a tolerance."""

from __future__ import annotations

from decimal import Decimal

from harness.metrics.numbers import numeric_match
from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import answer_of
from harness.metrics.record import ScoredTask
from harness.metrics.registry import metric


def _settings(task: ScoredTask) -> str:
    near = "gold_decimals" if task.tolerance is None else f"rel:{task.tolerance}"
    return f"lang:{task.language}|{near}|scale:either"


@metric(
    "numeric_accuracy",
    unit="share",
    higher_is_better=True,
    reads="number",
    takes="record",
    family="numeric",
    version=2,
    settings=_settings,
    shown=("leaderboard", "card"),
    trivial=("constant",),
)
def numeric_accuracy(record: Prediction, task: ScoredTask) -> float | None:
    """1.0 if the answer's number is the gold one; None for an example without a gold number.

    What was read is written to the record: `extracted`, its span, and whether it was ambiguous.
    """
    gold = record.get("gold")
    if gold is None:
        return None
    tolerance = None if task.tolerance is None else Decimal(str(task.tolerance))
    score = numeric_match(answer_of(record).text, gold, language=task.language, rel_tol=tolerance)
    record["extracted"] = score.found.text if score.found else None
    record["ambiguous"] = score.ambiguous
    record["extracted_span"] = [score.found.start, score.found.end] if score.found else None
    return float(score.correct)
