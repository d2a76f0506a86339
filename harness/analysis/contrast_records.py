"""The contrasts of an axis as plain records, for JSON and pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.contrasts import AxisDifferences, Contrast
    from harness.analysis.cost_ratios import CostRatio
    from harness.analysis.difference import Delta


def axis_records(found: AxisDifferences) -> list[dict[str, object]]:
    """A record for each contrast, then for each that is together over data sets."""
    records = [_contrast(each, found.family) for each in found.contrasts]
    for each in found.together:
        shared = {
            "axis": each.axis, "first": each.first, "second": each.second,
            "datasets": list(each.datasets), "metric": each.metric, "family": found.family,
            "costs": _costs(found.costs.get(each.name, {})),
        }  # fmt: skip
        records.append({"level": "together", **shared, "effect": "fixed", **_delta(each.fixed)})
        if each.random:
            random = _delta(each.random)
            records.append({"level": "together", **shared, "effect": "random", **random})
    return records


def _contrast(each: Contrast, family: int) -> dict[str, object]:
    return {
        "level": "contrast", "axis": each.axis, "first": each.first, "second": each.second,
        "dataset": each.dataset, "metric": each.metric,
        "variants": dict(zip(each.variants, each.per_variant, strict=True)),
        "seeds": each.seeds, "costs": _costs(each.costs), "left_out": dict(each.left_out),
        "more_examples": each.more_examples, "family": family,
        **(_delta(each.delta) if each.delta else {}),
    }  # fmt: skip


def _delta(delta: Delta) -> dict[str, object]:
    return asdict(delta)


def _costs(costs: Mapping[str, CostRatio]) -> dict[str, object]:
    return {name: asdict(ratio) for name, ratio in costs.items()}
