"""Rows and tables of a leaderboard: what seeds say together, and what rows are set beside."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.difference import Delta
from harness.analysis.ties import Ties
from harness.metrics.facts import is_higher_better
from harness.results.result import CellResult

TRIVIAL = {
    "rougeL": {
        "one constant answer": "rougeL_constant",
        "the prompt copied": "rougeL_copied_prompt",
    },
    "numeric_accuracy": {"one constant answer": "numeric_accuracy_constant"},
    "f1_macro": {"the majority label": "f1_macro_majority"},
    "accuracy": {"the majority label": "accuracy_majority"},
}  # fmt: skip
"""Metric → what a trivial baseline answers → the metric that holds its score."""


@dataclass(frozen=True)
class Row:
    """One model × quantization × adapter on one data set, its seeds together."""

    model: str
    quantization: str
    adapter: str
    cells: tuple[CellResult, ...]
    baseline: CellResult | None
    deltas: dict[str, Delta]
    control: dict[str, Delta] = field(default_factory=dict)
    """The same differences on the control set: what was forgotten."""
    incomparable: str | None = None
    """Why there is no difference to the baseline, where both have results."""
    left_out: str | None = None
    """How many examples were paired with the baseline's, where a side has others, too."""

    @property
    def name(self) -> str:
        """The row's axes as one text."""
        return f"{self.model}, {self.quantization}, {self.adapter}"

    @property
    def finished(self) -> tuple[CellResult, ...]:
        """The cells that ended well."""
        return tuple(cell for cell in self.cells if cell.status == "ok")

    @property
    def status(self) -> str:
        """`ok` if any seed ended well, else the first cell's status."""
        states = [cell.status for cell in self.cells]
        return "ok" if "ok" in states else states[0]

    @property
    def reason(self) -> str | None:
        """Why there is no value."""
        return next((cell.reason for cell in self.cells if cell.reason), None)

    @property
    def noise(self) -> dict[str, Any]:
        """What evaluating the row again changed; empty for rows that are no baseline."""
        return next((cell.noise for cell in self.cells if cell.noise), {})

    def machines(self) -> set[str]:
        """The hardware that the row's cells were measured on."""
        return {cell.hardware for cell in self.finished if cell.hardware}

    def values(self, metric: str) -> list[float]:
        """The metric's value of every seed that has one."""
        found = (cell.value(metric) for cell in self.finished)
        return [v.value for v in found if v is not None and v.value is not None]

    def mean(self, metric: str) -> float | None:
        """The mean over seeds, or None."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds; None for fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Table:
    """All rows of one data set."""

    dataset: str
    task: str
    primary_metric: str
    rows: tuple[Row, ...]
    ties: Ties | None = None
    """Tie groups on the primary metric."""
    test_sets: int = 1
    """Different sets of examples that the rows were tested on: means of several are not ranked."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a gain is a rise of the primary metric."""
        return is_higher_better(self.primary_metric)

    def machines(self) -> set[str]:
        """The hardware that the table's cells were measured on."""
        return {name for row in self.rows for name in row.machines()}

    def compared(self) -> list[Row]:
        """Rows that have a difference in the primary metric."""
        return [row for row in self.rows if self.primary_metric in row.deltas]

    def trivial(self) -> dict[str, float]:
        """What a trivial baseline answers → its score in the primary metric."""
        found = {}
        for answer, metric in TRIVIAL.get(self.primary_metric, {}).items():
            row = next((row for row in self.rows if row.values(metric)), None)
            if row is not None:
                found[answer] = row.mean(metric) or 0.0
        return found

    def best(self) -> Row | None:
        """The row with the best mean of the primary metric; a tie group says what that means.

        None where the rows were tested on different examples: an easier set is no better variant.
        """
        if self.test_sets > 1:
            return None
        scored = [row for row in self.rows if row.mean(self.primary_metric) is not None]
        sign = 1 if self.higher_is_better else -1
        return max(scored, key=lambda r: sign * (r.mean(self.primary_metric) or 0.0), default=None)

    def metrics(self) -> list[str]:
        """Quality metrics that some row has, the primary one first."""
        seen = {v.metric for row in self.rows for cell in row.cells for v in cell.values}
        chosen = ("rougeL", "numeric_accuracy", "accuracy", "f1_macro", "chrf", "eval_loss")
        rest = [m for m in chosen if m in seen and m != self.primary_metric]
        return [self.primary_metric, *rest]
