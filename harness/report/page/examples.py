"""Examples to read: prompt, reference and both answers side by side, with a word diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.metrics.prediction import Prediction
from harness.report.section import anchor
from harness.scoring.scoring import is_parsed

PER_KIND = 6
"""Most examples of each kind for a row; all answers are in predictions.jsonl."""
ROWS = 8
"""Most rows of a data set whose examples are shown."""
LENGTH = 1200
"""Characters kept of a text."""
Kind = Literal["fixed", "broken", "both wrong", "unparsed"]


class Piece(NamedTuple):
    """Words of an answer, and whether only this side has them."""

    text: str
    alone: bool


class Read(NamedTuple):
    """The number that was read from each side's answer, or None."""

    before: str | None
    after: str | None


@dataclass(frozen=True)
class Shown:
    """One example of a row against its baseline."""

    id: str
    """The anchor that a link names."""
    dataset: str
    row: str
    kind: Kind
    prompt: str
    reference: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    scores: str
    """Every score before and after, the primary one first."""
    read: Read | None = None
    """The number read from each answer, for tasks with numeric answers."""


def shown(board: Leaderboard, table: Table) -> Iterator[Shown]:
    """Examples of the first rows that have a baseline: the largest changes first."""
    rows = [row for row in table.rows if row.deltas and row.baseline is not None][:ROWS]
    for row in rows:
        yield from _of_row(board, table, row)


def _of_row(board: Leaderboard, table: Table, row: Row) -> Iterator[Shown]:
    assert row.baseline is not None
    before, after = board.records(row.baseline), board.records(row.finished[0])
    losses = table.flips(before, after)
    gains = table.flips(after, before)  # a gain is a loss in the other direction
    if losses is None or gains is None:
        return
    metric = losses.metric
    wrong = [
        i for i in before
        if i in after and before[i]["scores"].get(metric) == after[i]["scores"].get(metric) == 0.0
    ]  # fmt: skip
    unparsed = [i for i in after if i in before and is_parsed(after[i]) is False]
    chosen: dict[Kind, list[str]] = {
        "broken": [flip.id for flip in losses.regressions],
        "fixed": [flip.id for flip in gains.regressions],
        "both wrong": wrong,
        "unparsed": unparsed,
    }
    for kind, ids in chosen.items():
        for i in ids[:PER_KIND]:
            yield _shown(table, row, kind, before[i], after[i], metric=metric)


def _shown(
    table: Table, row: Row, kind: Kind, first: Prediction, second: Prediction, *, metric: str
) -> Shown:
    before, after = word_diff(first["prediction"][:LENGTH], second["prediction"][:LENGTH])
    both = [name for name in first["scores"] if name in second["scores"] and name != metric]
    scores = "; ".join(
        f"{name} {first['scores'][name]:.3g} → {second['scores'][name]:.3g}"
        for name in (metric, *both)
    )
    return Shown(
        anchor("item", table.dataset, row.name, kind, first["id"]),
        table.dataset, row.name, kind, first["example_prompt"][:LENGTH],
        first["reference"][:LENGTH], before, after, scores,
        Read(first["extracted"], second["extracted"]) if "extracted" in first else None,
    )  # fmt: skip


class Sides(NamedTuple):
    """Both answers in pieces."""

    before: tuple[Piece, ...]
    after: tuple[Piece, ...]


def word_diff(before: str, after: str) -> Sides:
    """Both texts as pieces that are equal or differ, word by word."""
    a, b = before.split(), after.split()
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        alone = tag != "equal"
        if i < j:
            left.append(Piece(" ".join(a[i:j]), alone))
        if k < m:
            right.append(Piece(" ".join(b[k:m]), alone))
    return Sides(tuple(left), tuple(right))
