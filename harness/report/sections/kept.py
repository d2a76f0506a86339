"""Which rows of a leaderboard a report keeps if it has too many for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.analysis.decision import decision_of
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.wording import variant
from harness.report.section import IN_CSV, Keeping
from harness.suite.schema import BASE

FIRST = "the variants that the decision names, the baselines, and"
REST = f"{IN_CSV} `harness show --full` prints every row of a run."


def keeping(board: Leaderboard, table: Table, rows: Sequence[Row]) -> Keeping:
    """What the decision names, then baselines, then the best of ``rows`` by the primary metric.

    In the suite's order the recommended variant could be cut, and what it is compared with.
    """
    # means over different examples are not ranked, and neither is a metric without a direction
    ranked = table.higher_is_better is not None and table.test_sets < 2
    worth = _worth(table) if ranked else lambda _: 0.0
    named, compared = _named(board, table, rows), _baselines(rows)
    order = sorted(
        range(len(rows)),
        key=lambda k: (rows[k].name not in named, rows[k].name not in compared, -worth(rows[k])),
    )
    then = f"the best by {table.primary_metric}" if ranked else "the first of the others"
    return Keeping(tuple(order), f"{FIRST} {then}", REST)


def _worth(table: Table) -> Callable[[Row], float]:
    """A row → its mean, higher is better; a row without one comes last."""
    sign = 1 if table.higher_is_better else -1

    def worth(row: Row) -> float:
        mean = row.mean(table.primary_metric)
        return float("-inf") if mean is None else sign * mean

    return worth


def _named(board: Leaderboard, table: Table, rows: Sequence[Row]) -> set[str]:
    """The variant that the decision is about, and those that its sentences name."""
    decision = decision_of(board, table)
    text = " ".join(decision.sentences())
    chosen = decision.row
    # beside the chosen one, a variant is named without the model that they share
    named = {
        row.name for row in rows if variant(row) in text or variant(row, beside=chosen) in text
    }
    return named | ({chosen.name} if chosen else set())


def _baselines(rows: Sequence[Row]) -> set[str]:
    """The untouched models, and whatever else a row is compared with."""
    keys = {row.baseline.key for row in rows if row.baseline}
    return {
        row.name for row in rows if row.adapter == BASE or any(c.key in keys for c in row.cells)
    }
