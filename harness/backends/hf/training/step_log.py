"""The log of the training engine: the records that the trainer would have logged, as steps end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from harness.backends.base import TellStep
from harness.backends.hf.training.flat_batch import Row
from harness.backends.hf.training.steps import Step

LOSS, ENTROPY, ACCURACY, NORM = range(4)
"""Columns of what is noted of a step."""
LOOK_EVERY = 8
"""Steps between looks at the device's numbers on CUDA, at most: a look waits for it."""
AHEAD_SECONDS = 0.5
"""Seconds of steps that the host launches ahead of the device. When this cell is stopped so that
another can be timed, the device still does them: the executor waits for them (`DRAIN_SECONDS`)."""


@dataclass
class StepLog:
    """Turns what was noted of each step into records, every ``every`` steps one."""

    steps: Sequence[Step]
    rates: Sequence[tuple[float, ...]]
    """The learning rates of each step."""
    rows: Sequence[Row]
    every: int
    tell: TellStep | None = None
    """Gets each record when it is there."""
    counts_tokens: bool = True
    """Whether records hold what `SFTTrainer` adds: entropy, token accuracy, tokens read."""
    records: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        each = (
            sum(len(self.rows[i].ids) for batch in step.batches for i in batch)
            for step in self.steps
        )
        self._tokens = list(accumulate(each))

    @property
    def begin(self) -> int:
        """The first step that the next record is of."""
        return len(self.records) * self.every

    def take(self, noted: Sequence[Sequence[float]], done: int) -> None:
        """Add the records of the steps before ``done``.

        Args:
            noted: The numbers of the steps from `begin` on.
            done: Steps that have ended.
        """
        first = self.begin
        while self.begin + self.every <= done:
            start = self.begin - first
            record = self._record(noted[start : start + self.every])
            self.records.append(record)
            if self.tell:
                self.tell(record)

    def _record(self, part: Sequence[Sequence[float]]) -> dict[str, float]:
        last = self.begin + self.every - 1
        weights = [len(step.batches) for step in self.steps[self.begin : last + 1]]
        record = {
            "loss": sum(row[LOSS] for row in part) / self.every,
            "grad_norm": part[-1][NORM],
            "learning_rate": self.rates[last][0],
        }
        if self.counts_tokens:
            record |= {
                "entropy": _mean([row[ENTROPY] for row in part], weights),
                "mean_token_accuracy": _mean([row[ACCURACY] for row in part], weights),
                "num_tokens": float(self._tokens[last]),
            }
        return {**record, "epoch": self.steps[last].epoch, "step": last + 1}


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """The mean over batches, of which each value stands for some."""
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def steps_ahead(ends: Sequence[tuple[int, float]]) -> int:
    """How many steps to launch before the next look at the device.

    Args:
        ends: Numbers of steps, and the times at which they had ended.
    """
    if len(ends) < 2:
        return 1  # how long a step takes is not known yet
    (first, began), (last, ended) = ends[-2:]
    each = (ended - began) / (last - first)
    return LOOK_EVERY if each * LOOK_EVERY <= AHEAD_SECONDS else max(1, int(AHEAD_SECONDS / each))
