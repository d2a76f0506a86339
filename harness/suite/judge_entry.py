"""A judge as a suite writes it: a model that says which of two answers is the better one."""

from __future__ import annotations

from pydantic import Field

from harness.suite.endpoint import Endpoint
from harness.suite.parts import Part

CRITERIA = (
    "Prefer the answer that is correct and does what was asked. Of two that do, prefer the clearer"
    " one. A longer answer is not better for its length."
)


class Price(Part):
    """What a judge's tokens cost."""

    input: float = Field(ge=0)
    """Of a million tokens that are sent."""
    output: float = Field(ge=0)
    """Of a million tokens that are answered."""
    currency: str = "USD"
    """Shown behind the sum."""


class Judge(Part):
    """A model that compares answers in pairs; `harness judge` asks it, `harness run` never does."""

    endpoint: Endpoint
    """The judge, by its OpenAI-compatible address."""
    criteria: str = Field(CRITERIA, min_length=1)
    """What makes an answer the better one, in words for the judge."""
    against: str = "base"
    """Each cell's answers are compared with those of this adapter, under the same model,
    quantization, data set and seed: `base`, the untouched model, or a reference of yours."""
    examples: int | None = Field(None, ge=1)
    """The first so many test examples; default: all. Each costs two requests a cell."""
    show_reference: bool = False
    """Show the judge the reference answer, too."""
    max_tokens: int = Field(1024, ge=1)
    """The longest verdict, reasons included; one that is cut is a failure."""
    price: Price | None = None
    """To say what it cost, in money as well as in tokens."""
    labels: str | None = None
    """A JSONL or CSV file of people's verdicts, relative to the suite, to show how far the judge
    agrees with them. `harness judge RUN --sample 50` writes one to fill in."""
