"""Scores by the length of the reference: does a gain come from long or from short examples?"""

from __future__ import annotations

import statistics

import numpy as np

from harness.analysis.columns import aligned, scores_in
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.metrics.prediction import Prediction, Records
from harness.metrics.registry import example_metric
from harness.report.drawn_rows import drawn_rows
from harness.report.section import Section, number

PARTS = ("short", "medium", "long")
"""Thirds of the examples, by words in the reference."""
MOST = 40
"""Most rows in the section."""
FEWEST = 15
"""With fewer examples a third has less than five, too few for a mean."""


def lengths(board: Leaderboard, table: Table) -> Section:
    """The mean score of every compared row and its baseline for each third of the examples."""
    metric = example_metric(table.primary_metric)
    title = f"Length: {table.dataset}"
    rows = drawn_rows(table, [row for row in table.compared() if row.baseline], MOST).rows
    if not rows or table.task == "classification":
        return Section(title)
    thirds = _thirds(board.records(rows[0].finished[0]))
    lines = [line for row in rows for line in _lines(board, row, metric, thirds)]
    columns = (
        "model", "quantization", "adapter", "reference", "words", "n", f"{metric} before",
        f"{metric} after", "Δ",
    )  # fmt: skip
    notes = (
        "The test examples in thirds by the number of words in the reference. Means of the first"
        f" seed, without intervals, for at most {MOST} rows, the best.",
    )
    return Section(title, notes if lines else (), columns, tuple(lines), page_only=True)


def _thirds(records: Records) -> dict[str, dict[str, int]]:
    """Third → example id → words in its reference. Equal lengths are not split."""
    words = {i: _words(record) for i, record in records.items()}
    order = sorted(words.values())
    if len(order) < FEWEST:
        return {}
    low, high = order[len(order) // 3], order[2 * len(order) // 3]
    place = {i: PARTS[(n > low) + (n > high)] for i, n in words.items()}
    return {part: {i: words[i] for i in words if place[i] == part} for part in PARTS}


def _words(record: Prediction) -> int:
    """Of the reference; a run without texts has kept their number."""
    if "reference_words" in record:
        return record["reference_words"]
    return len(record["reference"].split())


def _lines(
    board: Leaderboard, row: Row, metric: str, thirds: dict[str, dict[str, int]]
) -> list[tuple[str, ...]]:
    assert row.baseline is not None
    sides = board.records(row.baseline), board.records(row.finished[0])
    lines: list[tuple[str, ...]] = []
    for part, words in thirds.items():
        ids = list(words)
        before, after = (aligned(scores_in(side, metric), side, ids) for side in sides)
        shared = ~(np.isnan(before) | np.isnan(after))
        if shared.any():
            first, second = (statistics.fmean(s[shared].tolist()) for s in (before, after))
            span = f"{min(words.values())}–{max(words.values())}"
            axes = (row.model, row.quantization, row.adapter)
            numbers = (number(first), number(second), f"{second - first:+.3f}")
            count = str(np.count_nonzero(shared))
            lines.append((*axes, part, span, count, *numbers))
    return lines
