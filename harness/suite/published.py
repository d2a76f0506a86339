"""What a published pipeline claims, as a suite writes it down: numbers with their conditions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Options = dict[str, Any]


class Source(BaseModel):
    """Where a published pipeline was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: str
    """The project, by its model and task."""
    read: str = ""
    """What was read: a README, a notebook."""
    readings: dict[str, str] = Field(default_factory=dict)
    """Reading (`as-described`, `as-run`) → how it differs."""


class Claim(BaseModel):
    """One published statement, and what it is held against."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    claim: str
    """The statement in our words."""
    value: float | None = None
    """The published number."""
    unit: str = ""
    """The number's unit, as it is shown."""
    metric: str | None = None
    """The metric that measures it, or an arithmetic one: `parameters`, `trainable_params`,
    `trainable_percent`, `weights_gib`, `weights_16bit_gib`, `effective_batch`."""
    cell: Options = Field(default_factory=dict)
    """The axes of the row that it is about."""
    tolerance: float = Field(0.05, ge=0)
    """How far the number may lie from ours, relative to it, and still agree."""
    conditions: str = ""
    """Under which it was published."""
    holds: Literal["yes", "no"] | None = None
    """Of a statement that no number decides: what reading the code shows."""
    finding: str = ""
    """What was found, with figures; shown beside the verdict."""

    @model_validator(mode="after")
    def _decidable(self) -> Claim:
        if self.holds is None and (self.value is None or self.metric is None):
            raise ValueError("needs `value` and `metric`, or `holds` with a `finding`")
        if self.holds is not None and not self.finding:
            raise ValueError("`holds` needs a `finding`: what the code shows")
        return self
