"""A leaderboard's tables and their rows: one row per variant, its seeds aggregated."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from functools import cached_property

from harness.analysis.difference import Delta
from harness.analysis.flips import Flips, flips
from harness.analysis.ties import Ties
from harness.analysis.training_devices import numbers_of_devices
from harness.metrics.prediction import Prediction, Records
from harness.metrics.record import SCORES
from harness.metrics.registry import TRIVIAL_ANSWERS, direction_of, find, registered, shown_in
from harness.results.measured import Speeds, is_shared
from harness.results.records import ConfusionMatrix, Noise
from harness.results.result import CellResult, Value
from harness.results.value import stored_directions


@dataclass(frozen=True)
class Row:
    """One variant (model × quantization × adapter) on one data set, with all its seeds."""

    model: str
    quantization: str
    adapter: str
    cells: tuple[CellResult, ...]
    baseline: CellResult | None
    deltas: dict[str, Delta]
    control: dict[str, Delta] = field(default_factory=dict)
    """Differences on the control set, which show what fine-tuning made the model forget."""
    incomparable: str | None = None
    """Why the row cannot be compared with its baseline, though both have results."""
    left_out: str | None = None
    """How many examples were paired with the baseline's and left out; None if all were paired."""
    speeds: Speeds | None = None
    """What another data set's cell of the variant measured; None if the row measured by itself."""

    @property
    def name(self) -> str:
        """The row's axes as one text."""
        return f"{self.model}, {self.quantization}, {self.adapter}"

    @cached_property
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
    def noise(self) -> Noise:
        """Noise measured by evaluating a baseline again; empty for rows that are not baselines."""
        return next((cell.noise for cell in self.cells if cell.noise), Noise())

    def machines(self) -> set[str]:
        """The hardware that the row's cells were measured on."""
        return {cell.hardware for cell in self.finished if cell.hardware}

    def values(self, metric: str) -> list[float]:
        """The metric's value of every seed that has one, or what was measured for the variant."""
        return self._own(metric) or self._borrowed(metric)

    def is_borrowed(self, metric: str) -> bool:
        """Whether the value of ``metric`` was measured on another data set."""
        return not self._own(metric) and bool(self._borrowed(metric))

    def place_of(self, metric: str) -> str:
        """Where a borrowed ``metric`` was measured, as a remark in brackets; else nothing."""
        place = self.speeds.place if self.speeds and self.is_borrowed(metric) else None
        return f" (measured on {place.dataset})" if place else ""

    def _own(self, metric: str) -> list[float]:
        # a report of many seeds asks a hundred times for the same values
        if metric not in self._known:
            values = (cell.value(metric) for cell in self.finished)
            self._known[metric] = [v.value for v in values if v and v.value is not None]
        return list(self._known[metric])

    @cached_property
    def _known(self) -> dict[str, list[float]]:
        return {}

    def _borrowed(self, metric: str) -> list[float]:
        lender = self.speeds.cell if self.speeds and is_shared(metric) else None
        value = lender.value(metric) if lender else None
        return [] if value is None or value.value is None else [value.value]

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
    """Direction of the primary metric; if undeclared (None), no row is ranked or best."""
    ties: Ties | None = None
    """Tie groups on the primary metric."""
    test_sets: int = 1
    """How many different sets of examples the rows were tested on; with several, none is best."""

    def machines(self) -> set[str]:
        """The hardware that the table's cells were measured on."""
        return {name for row in self.rows for name in row.machines()}

    def numbers_of_devices(self) -> set[int]:
        """The different numbers of devices that the table's cells were trained on."""
        return numbers_of_devices(cell for row in self.rows for cell in row.finished)

    def measured_on(self, metric: str) -> set[str]:
        """The data sets on whose prompts the rows' ``metric`` was measured."""
        return {
            row.speeds.place.dataset if row.speeds and row.is_borrowed(metric) else self.dataset
            for row in self.rows
            if row.values(metric)
        }

    def compared(self) -> list[Row]:
        """Rows that have a difference in the primary metric."""
        return [row for row in self.rows if self.primary_metric in row.deltas]

    def trivial(self) -> dict[str, float]:
        """Trivial answer, such as always the majority label → its score in the primary metric."""
        record = find(self.primary_metric)
        found = {}
        for answer in record.trivial if record else ():
            value = self._trivial(answer)
            if value is not None and value.value is not None:
                label = (value.note or "").removeprefix("always ") if "majority" in answer else ""
                found[f"{TRIVIAL_ANSWERS[answer]}{f' ({label})' if label else ''}"] = value.value
        return found

    def _trivial(self, answer: str) -> Value | None:
        """The stored score of a trivial answer; the test majority's is counted in older runs."""
        cells = [cell for row in self.rows for cell in row.finished]
        metric = f"{self.primary_metric}_{answer}"
        stored = next((value for cell in cells if (value := cell.value(metric))), None)
        if stored is not None or answer != "test_majority":
            return stored
        counted = next((cell.confusion for cell in cells if cell.confusion), None)
        return _majority_of_counts(counted, self.primary_metric) if counted else None

    def best(self) -> Row | None:
        """The row with the best mean of the primary metric; see `ties` for what that is worth.

        None without scores, without a declared direction, and if the rows were tested on different
        examples: the best mean may then be that of the easiest set.
        """
        if self.test_sets > 1 or self.higher_is_better is None:
            return None
        scored = [row for row in self.rows if row.mean(self.primary_metric) is not None]
        sign = 1 if self.higher_is_better else -1
        return max(scored, key=lambda r: sign * (r.mean(self.primary_metric) or 0.0), default=None)

    def metrics(self) -> list[str]:
        """The metrics that a leaderboard shows by default, the primary one first.

        A suite's own extra metrics are among them: they were asked for by name.
        """
        seen = self.scored()
        chosen = [*shown_in("leaderboard", *SCORES), *(m for m in seen if find(m) is None)]
        rest = [m for m in chosen if m in seen and m != self.primary_metric]
        return [self.primary_metric, *rest]

    def more_metrics(self) -> list[str]:
        """Every other metric that some row has: columns hidden until a reader selects them."""
        shown = self.metrics()
        return [m for m in self.scored() if m not in shown]

    def scored(self) -> list[str]:
        """Every quality metric that some row has: registered ones in their order, then others."""
        seen = self._names()
        ours = [m.name for m in registered() if m.reads in SCORES and m.name in seen]
        return [*ours, *(name for name in seen if _is_foreign(name))]

    def accounts(self) -> list[str]:
        """The accounting metrics that some row has: share of cut, unparsed or empty answers."""
        seen = self._names()
        return [m.name for m in registered() if m.reads == "answer" and m.scorer and m.name in seen]

    def _names(self) -> dict[str, None]:
        return dict.fromkeys(v.metric for r in self.rows for c in r.cells for v in c.values)

    def flips(self, first: Records, second: Records) -> Flips | None:
        """Which examples ``second`` won and lost against ``first`` in the primary metric."""
        directions = {self.primary_metric: self.higher_is_better}
        return flips(first, second, self.primary_metric, directions=directions)

    def direction(self, metric: str) -> bool | None:
        """Whether a higher ``metric`` is better; None if it is not declared."""
        return direction_of(metric, self._stored_directions)

    @cached_property
    def _stored_directions(self) -> dict[str, bool | None]:
        """Found once: it reads every value of the table, and the page asks for every variant."""
        return stored_directions(cell for row in self.rows for cell in row.cells)


def _majority_of_counts(counted: ConfusionMatrix, metric: str) -> Value | None:
    """The score of always giving the most frequent test label, for runs that did not store it."""
    record, labels = find(metric), counted.labels
    sizes = [sum(row) for row in counted.matrix]
    label = labels[sizes.index(max(sizes))]
    answers: list[Prediction] = [
        {"label": gold, "predicted_label": label}
        for gold, size in zip(labels, sizes, strict=True)
        for _ in range(size)
    ]
    if record is None or not answers:
        return None
    share = max(sizes) / len(answers)
    value = record.corpus.value(answers, labels) if record.corpus else share
    return Value(metric, value, n=len(answers), note=f'always "{label}"')


def _is_foreign(name: str) -> bool:
    """Whether a metric is an extra one of the suite, or comes from another tool."""
    record = find(name)
    return record is None or record.reads == "none"
