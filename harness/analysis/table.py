"""Rows and tables of a leaderboard: what seeds say together, and what rows are set beside."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.difference import Delta, Records
from harness.analysis.flips import Flips, flips
from harness.analysis.ties import Ties
from harness.metrics.record import SCORES
from harness.metrics.registry import TRIVIAL_ANSWERS, direction_of, find, registered, shown_in
from harness.results.result import CellResult, Value, stored_directions


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
    higher_is_better: bool | None = True
    """Whether a gain is a rise of the primary metric. None where nobody says: then nothing is
    ranked, and no row is best."""
    ties: Ties | None = None
    """Tie groups on the primary metric."""
    test_sets: int = 1
    """Different sets of examples that the rows were tested on: means of several are not ranked."""

    def machines(self) -> set[str]:
        """The hardware that the table's cells were measured on."""
        return {name for row in self.rows for name in row.machines()}

    def compared(self) -> list[Row]:
        """Rows that have a difference in the primary metric."""
        return [row for row in self.rows if self.primary_metric in row.deltas]

    def trivial(self) -> dict[str, float]:
        """What a trivial baseline answers → its score in the primary metric."""
        record = find(self.primary_metric)
        found = {}
        for answer in record.trivial if record else ():
            value = self._trivial(answer)
            if value is not None and value.value is not None:
                label = (value.note or "").removeprefix("always ") if "majority" in answer else ""
                found[f"{TRIVIAL_ANSWERS[answer]}{f' ({label})' if label else ''}"] = value.value
        return found

    def _trivial(self, answer: str) -> Value | None:
        """The stored score of a trivial answer; of the test's majority, else from the counts."""
        cells = [cell for row in self.rows for cell in row.finished]
        metric = f"{self.primary_metric}_{answer}"
        stored = next((value for cell in cells if (value := cell.value(metric))), None)
        if stored is not None or answer != "test_majority":
            return stored
        counted = next((cell.confusion for cell in cells if cell.confusion), None)
        return _majority_of_counts(counted, self.primary_metric) if counted else None

    def best(self) -> Row | None:
        """The row with the best mean of the primary metric; a tie group says what that means.

        None without scores, where nobody says which direction is good, and where the rows were
        tested on different examples: an easier set is no better variant.
        """
        if self.test_sets > 1 or self.higher_is_better is None:
            return None
        scored = [row for row in self.rows if row.mean(self.primary_metric) is not None]
        sign = 1 if self.higher_is_better else -1
        return max(scored, key=lambda r: sign * (r.mean(self.primary_metric) or 0.0), default=None)

    def metrics(self) -> list[str]:
        """The metrics that a leaderboard shows unasked, the primary one first.

        A suite's own extra metrics are among them: whoever names one wants to see it.
        """
        seen = self.scored()
        chosen = [*shown_in("leaderboard", *SCORES), *(m for m in seen if find(m) is None)]
        rest = [m for m in chosen if m in seen and m != self.primary_metric]
        return [self.primary_metric, *rest]

    def more_metrics(self) -> list[str]:
        """Every other metric that some row was scored by: columns that a reader may ask for."""
        shown = self.metrics()
        return [m for m in self.scored() if m not in shown]

    def scored(self) -> list[str]:
        """Every metric of quality that some row has: the registered ones in order, then others."""
        seen = self._names()
        ours = [m.name for m in registered() if m.reads in SCORES and m.name in seen]
        return [*ours, *(name for name in seen if _is_foreign(name))]

    def accounts(self) -> list[str]:
        """What some row has that tells how its answers came out: cut, unparsed, empty."""
        seen = self._names()
        return [m.name for m in registered() if m.reads == "answer" and m.scorer and m.name in seen]

    def _names(self) -> dict[str, None]:
        return dict.fromkeys(v.metric for r in self.rows for c in r.cells for v in c.values)

    def flips(self, first: Records, second: Records) -> Flips | None:
        """Which examples ``second`` won and lost against ``first`` in the primary metric."""
        directions = {self.primary_metric: self.higher_is_better}
        return flips(first, second, self.primary_metric, directions=directions)

    def direction(self, metric: str) -> bool | None:
        """Whether a gain is a rise of ``metric``; None where nobody says."""
        cells = [cell for row in self.rows for cell in row.cells]
        return direction_of(metric, stored_directions(cells))


def _majority_of_counts(counted: dict[str, Any], metric: str) -> Value | None:
    """What the test's most frequent label scores, of a run that was scored before it was stored."""
    record, labels = find(metric), counted["labels"]
    sizes = [sum(row) for row in counted["matrix"]]
    label = labels[sizes.index(max(sizes))]
    supposed = [
        {"label": gold, "predicted_label": label}
        for gold, size in zip(labels, sizes, strict=True)
        for _ in range(size)
    ]
    if record is None or not supposed:
        return None
    share = max(sizes) / len(supposed)
    value = record.corpus.value(supposed, labels) if record.corpus else share
    return Value(metric, value, n=len(supposed), note=f'always "{label}"')


def _is_foreign(name: str) -> bool:
    """Whether a metric is a suite's extra one, or another tool's."""
    record = find(name)
    return record is None or record.reads == "none"
