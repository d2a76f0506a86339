"""Metrics of PEFT's method comparison that only imported results have.

Other tools' metrics need no record: their direction is read from their result files.
"""

from __future__ import annotations

from harness.metrics.record import Metric
from harness.metrics.registry import register

for _name, _unit, _direction in (
    ("train_loss", "nats/token", False),
    ("forgetting", "", False),
    ("train_reserved_mean_vram_mib", "MiB", False),
    ("train_reserved_p99_vram_mib", "MiB", False),
):
    register(Metric(name=_name, unit=_unit, higher_is_better=_direction, reads="none"))
