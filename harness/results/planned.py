"""What ``plan.json`` says of the suite and its cells, checked: a plan may come from anyone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.suite.gate_rules import Gate
from harness.suite.published import Claim, PublishedSource
from harness.suite.schema import Objectives


class _Stored(BaseModel):
    """A part of the file. What a newer version adds is left alone."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True)


class PlannedClaim(_Stored):
    """A published claim with what arithmetic says of it."""

    claim: Claim
    model: str
    arithmetic: float | None = None
    skip: str | None = None


class PlannedSuite(_Stored):
    """The suite as it was run."""

    name: str
    description: str = ""
    path: str = ""
    imported: bool = False
    baseline_of: Literal["model", "quantization", "adapter"] = "adapter"
    gate: Gate = Gate()
    objectives: Objectives = Objectives()
    source: PublishedSource | None = None
    claims: tuple[PlannedClaim, ...] = ()


class PlannedCell(_Stored):
    """A cell of the plan; its result, if there is one, is in a file of its own."""

    key: str
    model: str
    quantization: str
    adapter: str
    dataset: str
    seed: int | None
    fingerprint: str = ""
    task: str = ""
    primary_metric: str = ""
    skip: str | None = None


def problem_of(plan: Mapping[str, Any]) -> str | None:
    """What is wrong with the suite or a cell of ``plan``; None if nothing is."""
    parts: list[tuple[str, type[_Stored], object]] = [("suite", PlannedSuite, plan["suite"])]
    parts += [(f"cells.{k}", PlannedCell, cell) for k, cell in enumerate(plan["cells"])]
    for name, kind, value in parts:
        try:
            # by way of JSON, where a list may become a tuple, and a text still no number
            kind.model_validate_json(json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join([name, *map(str, first["loc"])])
            return f"{place}: {str(first['msg']).removeprefix('Value error, ')}"
    return None
