"""Numbers that are not finite: what training or answering gave instead, and what to do about it.

JSON has no word for NaN, and a mean over one is NaN. So they are found before anything is written
or scored, and the message says what happened rather than what a parser thinks of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.counting import counted
from harness.errors import HarnessError
from harness.metrics.prediction import Prediction
from harness.suite.options import Options, training_value

OVERFLOW = (
    "Its weights or activations left the range of their precision. Lower `training.learning_rate`"
    " of what was trained, or compute in bfloat16 or float32. The answers are kept in"
    " predictions.jsonl."
)


def finite_log(log: Iterable[Mapping[str, float]], training: Options) -> list[dict[str, float]]:
    """The logged steps of a training that did not diverge, without numbers that are not finite.

    A gradient norm may be infinite in a step that mixed precision then leaves out; a loss may not.

    Raises:
        HarnessError: the loss is not finite: it says since which step, and what to lower.
    """
    kept = []
    for number, record in enumerate(log, start=1):
        loss = record.get("loss")
        if loss is not None and not math.isfinite(loss):
            step = record.get("step", number)
            rate = training_value(training, "learning_rate")
            raise HarnessError(
                f"training diverged: the loss is {loss} at step {step:g}",
                hint=f"Lower `training.learning_rate` (now {rate:g}), or raise `warmup_steps`.",
            )
        kept.append({name: value for name, value in record.items() if math.isfinite(value)})
    return kept


def finite_numbers(stage: str, numbers: Mapping[str, float]) -> None:
    """Refuse a measurement of ``stage`` that is not finite.

    Raises:
        HarnessError: it names the measurement.
    """
    for name, value in numbers.items():
        if not math.isfinite(value):
            hint = "A model that diverged gives such numbers: lower `training.learning_rate`."
            raise HarnessError(f"{name} is {value} after the stage `{stage}`", hint=hint)


def take_out(records: Sequence[Prediction]) -> str | None:
    """Delete from ``records`` what is not finite, in place; what was found, in words."""
    found: dict[str, list[str]] = {}
    for record in records:
        fields: dict[str, object] = record  # type: ignore[assignment]
        for name in [name for name, value in fields.items() if not _is_finite(value)]:
            del fields[name]
            found.setdefault(name, []).append(str(record.get("id")))
    if not found:
        return None
    name, ids = next(iter(found.items()))
    return (
        f"`{name}` is not a finite number in {len(ids)} of {counted(len(records), 'answer')}:"
        f" {ids[0]}, …"
    )


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return True


def finite_scores(records: Sequence[Prediction]) -> None:
    """Refuse a score that is not finite: a metric must give a number for every answer.

    Raises:
        HarnessError: it names the metric and the example.
    """
    for record in records:
        for name, score in record.get("scores", {}).items():
            if not math.isfinite(score):
                what = f'the metric "{name}" gives {score} for example {record["id"]}'
                hint = "Correct the metric, then run again: the answers are kept, nothing is lost."
                raise HarnessError(what, hint=hint)
