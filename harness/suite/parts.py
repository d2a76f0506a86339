"""What every part of a suite shares, and every entry of an axis."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Options = dict[str, Any]
OVERRIDES = ("training", "evaluation", "generation")
"""Blocks of settings by which an entry of an axis, or of `include`, overrides the suite's."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed as NumPy takes it, which `transformers.set_seed` passes it on to."""


class Part(BaseModel):
    """A block of a suite: unknown keys are refused, values are fixed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        # a margin of .nan or .inf would let everything pass
        allow_inf_nan=False,
    )


class Entry(Part):
    """What the entries of every axis share."""

    name: str
    """The name on the axis."""
    training: Options = Field(default_factory=dict)
    """Training keys that override the suite's for cells of this entry."""
    evaluation: Options = Field(default_factory=dict)
    """Evaluation keys that override the suite's for cells of this entry."""
    generation: Options = Field(default_factory=dict)
    """Generation keys that override the suite's for cells of this entry."""

    def without_overrides(self) -> Self:
        """The entry once a cell's own settings hold its overrides."""
        return self.model_copy(update={key: {} for key in OVERRIDES})
