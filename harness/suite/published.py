"""What a published pipeline claims, as a suite writes it down: numbers with their conditions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from harness.suite.parts import Options, Part


class PublishedSource(Part):
    """Where a published pipeline was read."""

    title: str
    """The project, by its model and task."""
    read: str = ""
    """What was read: a README, a notebook."""
    readings: dict[str, str] = Field(default_factory=dict)
    """Reading (`as-described`, `as-run`) → how it differs."""


class Claim(Part):
    """One published statement, and how to check it."""

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
    """Relative difference to our number up to which the claim agrees."""
    conditions: str = ""
    """The conditions under which it was published."""
    holds: Literal["yes", "no"] | None = None
    """For claims without a number: whether the code supports them."""
    finding: str = ""
    """Our finding, with figures; shown next to the verdict."""

    @model_validator(mode="after")
    def _decidable(self) -> Claim:
        if self.holds is None and (self.value is None or self.metric is None):
            raise ValueError("needs `value` and `metric`, or `holds` with a `finding`")
        if self.holds is not None and not self.finding:
            raise ValueError("`holds` needs a `finding`: what the code shows")
        return self
