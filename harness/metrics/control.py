"""Scores on a control set outside the domain: what fine-tuning cost there."""

from __future__ import annotations

from harness.metrics.record import Metric
from harness.metrics.registry import register

for _name, _unit, _direction in (
    ("control_accuracy", "share", True),
    ("control_bits_per_byte", "bit/byte", False),
):
    register(
        Metric(
            name=_name, unit=_unit, higher_is_better=_direction, reads="control",
            settings="mean_of_items",
        )
    )  # fmt: skip
