"""Scores on a control set before and after: what fine-tuning cost outside of the task."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.datasets.control import ControlItem
from harness.metrics.prediction import Prediction
from harness.metrics.registry import registered
from harness.results.result import Value


def control_records(
    items: Sequence[ControlItem], right: Sequence[float], wrong: Sequence[float]
) -> list[Prediction]:
    """One scored record per item.

    Args:
        items: The control set.
        right: Negative log-likelihood in nats of each right ending, given its beginning.
        wrong: The same of the wrong endings.
    """
    found: list[Prediction] = []
    for item, r, w in zip(items, right, wrong, strict=True):
        size, other = (len(text.encode()) for text in (item.reference, item.wrong))
        # per byte, as in BPB: a longer ending is less likely whatever it says
        scores = {
            "control_accuracy": float(r / size < w / other),
            "control_bits_per_byte": r / math.log(2) / size,
        }
        found.append({"id": item.id, "nll": r, "bytes": size, "nll_wrong": w, "scores": scores})
    return found


def control_values(records: Sequence[Prediction]) -> list[Value]:
    """The share of right endings preferred, and the mean bits per byte of the right endings."""
    if not records:
        return []
    n = len(records)
    return [
        Value(
            m.name, math.fsum(r["scores"][m.name] for r in records) / n, m.unit, m.higher_is_better,
            n, signature=f"{m.name}|{m.settings}|v:{m.version}",
        )
        for m in registered()
        if m.reads == "control"
    ]  # fmt: skip
