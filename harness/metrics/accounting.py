"""How generated answers came out: cut, empty, without what was looked for; and what the rest score.

A model that is cut short or answers in another form must not merely look wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import spoken_of
from harness.metrics.record import Place, ScoredTask
from harness.metrics.registry import metric

F = TypeVar("F", bound=Callable[..., Any])


def is_parsed(record: Prediction) -> bool | None:
    """Whether the answer held what was looked for; None where nothing is looked for."""
    if "extracted" in record:
        return record["extracted"] is not None
    if "predicted_label" in record:
        return record["predicted_label"] is not None
    return None


def _share(
    name: str, *, higher_is_better: bool = False, of: str = "", shown: tuple[Place, ...] = ()
) -> Callable[[F], F]:
    return metric(
        name,
        takes="record",
        unit="share",
        higher_is_better=higher_is_better,
        reads="answer",
        family="accounting",
        version=2,
        of=of,
        shown=shown,
    )


@_share("truncated_share", shown=("leaderboard",))
def truncated(record: Prediction, _: ScoredTask) -> float | None:
    """Whether the answer was cut at the limit of new tokens; imported answers do not say."""
    reason = record["finish_reason"]
    return None if reason == "unknown" else float(reason == "length")


@_share("empty_share")
def empty(record: Prediction, _: ScoredTask) -> float:
    """Whether the answer holds nothing but spaces."""
    return float(not spoken_of(record).strip())


@_share("unclosed_reasoning_share", shown=("leaderboard",))
def unclosed_reasoning(record: Prediction, _: ScoredTask) -> float | None:
    """Whether the reasoning never ended, so that no answer came; None where no model reasons."""
    closed: bool | None = record.get("reasoning_closed")
    return None if closed is None else float(not closed)


@metric(
    "reasoning_chars",
    takes="record",
    unit="character",
    higher_is_better=None,
    reads="answer",
    family="accounting",
    version=2,
    shown=("leaderboard",),
)
def reasoning_chars(record: Prediction, _: ScoredTask) -> float | None:
    """The length of the reasoning before the answer, its marks included."""
    return record.get("reasoning_chars")


@_share("unparsed_share", shown=("leaderboard",))
def unparsed(record: Prediction, _: ScoredTask) -> float | None:
    """Whether what was looked for was not in the answer."""
    parsed = is_parsed(record)
    return None if parsed is None else float(not parsed)


@_share("ambiguous_share", shown=("leaderboard",))
def ambiguous(record: Prediction, _: ScoredTask) -> float | None:
    """Whether several numbers could have been meant."""
    return float(record["ambiguous"]) if "ambiguous" in record else None


@_share("numeric_accuracy_parsed", higher_is_better=True, of="numeric_accuracy")
def numeric_accuracy_parsed(record: Prediction, _: ScoredTask) -> float | None:
    """Whether the number is right, of answers that hold one."""
    return _of_parsed(record, "numeric_accuracy")


@_share("accuracy_parsed", higher_is_better=True, of="accuracy")
def accuracy_parsed(record: Prediction, _: ScoredTask) -> float | None:
    """Whether the label is right, of answers that name one."""
    return _of_parsed(record, "accuracy")


def _of_parsed(record: Prediction, name: str) -> float | None:
    score: float | None = record["scores"].get(name)
    return score if is_parsed(record) else None
