"""What the gate checks: the rules of a suite's `gate` block, or of a rules file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.suite.parts import Part
from harness.suite.validation import validated
from harness.suite.yaml_file import read_yaml

PRIMARY = "primary"
"""Placeholder for a data set's primary metric."""
PREDICTIONS = "predictions"
"""Placeholder for the share of answers that changed, with the test `exact`."""


class Rule(Part):
    """One metric that must not get worse, in the cells that the rule matches."""

    metric: str
    """A metric's name, `primary`, or `predictions` (the share of changed answers, `exact` only)."""
    cells: str = "*"
    """A shell pattern over `model--quantization--adapter--dataset`."""
    test: Literal["paired", "exact", "percentage", "static"] = "paired"
    """`paired`: the interval of the difference on the same examples. `exact`: equality within
    `tolerance`, on the same machine and packages. `percentage`: at most `tolerance` per cent
    worse on the same hardware; a speed as a multiple of the reference work timed beside it, and
    what other load explains is a warning. `static`: a bound that holds without a baseline."""
    margin: float = Field(0.0, ge=0)
    """`paired`: the largest loss you tolerate, in the metric's unit."""
    tolerance: float = Field(0.0, ge=0)
    """The largest change you tolerate. `exact`: in the metric's unit; `percentage`: in per cent."""
    limit: float | None = None
    """`static`: the worst value that passes."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """`paired`: confidence that all paired intervals of a check hold together (Bonferroni)."""
    min_examples: int = Field(20, ge=2)
    """`paired`: an undecided check with fewer examples is a warning."""
    on_missing: Literal["fail", "warn"] = "fail"
    """What happens if the run lacks or skipped a cell of the baseline."""
    on_new: Literal["record", "fail"] = "record"
    """What happens if the baseline lacks a cell of the run."""
    on_improved: Literal["pass", "require-update"] = "pass"
    """On a clear improvement, `require-update` fails until you record a new baseline."""

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        if (self.test == "static") != (self.limit is not None):
            raise ValueError("`limit` belongs to `test: static`, which needs it")
        if self.metric == PREDICTIONS and self.test != "exact":
            raise ValueError("`predictions` can only be checked by `test: exact`")
        return self


class Gate(Part):
    """The rules of `harness check`."""

    rules: tuple[Rule, ...] = Field(
        default=(
            Rule(metric=PRIMARY),
            Rule(metric="infer_peak_vram_mib", test="percentage", tolerance=10),
            Rule(metric="train_peak_vram_mib", test="percentage", tolerance=10),
        ),
        min_length=1,
    )
    """Default: the primary metrics must not be clearly lower, nor GPU memory 10% higher."""


def load_rules(path: Path) -> Gate:
    """The gate in a YAML file of `rules:`.

    Raises:
        SuiteError: every problem of the file.
    """
    return validated(Gate, read_yaml(path))
