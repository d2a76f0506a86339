"""Examples that the page shows without its script: both answers next to each other, with a diff."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.analysis.decision import Decision
from harness.analysis.leaderboard import Leaderboard
from harness.report.page.answers import (
    LENGTH,
    Pair,
    anchor_of,
    example_numbers,
    shown_answer,
)
from harness.report.section import number

PER_SET = 6
"""Sampled examples of each data set, beside those that lost most."""


class Piece(NamedTuple):
    """Words of an answer, and whether only this side has them."""

    text: str
    alone: bool


class Read(NamedTuple):
    """The number or label that was read from each side's answer; '' if none was found."""

    before: str
    after: str


@dataclass(frozen=True)
class Example:
    """One example of a variant against its baseline."""

    id: str
    """The anchor that a link names."""
    dataset: str
    row: str
    outcome: str
    """`lost`, `won` or `equal`."""
    prompt: str
    reference: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    scores: str
    """The primary score before and after."""
    read: Read | None = None


def examples(
    board: Leaderboard, decisions: Sequence[Decision], pairs: Sequence[Pair]
) -> list[Example]:
    """The answers that lost most and a sample, for the variant that each decision names."""
    found: list[Example] = []
    for place, pair in _chosen(decisions, pairs).items():
        known = example_numbers(board, board.tables[place])
        for i in dict.fromkeys([*pair.worst, *pair.sample(PER_SET)]):
            found.append(_example(pair, i, known[i], board.tables[place].dataset))
    return found


def _chosen(decisions: Sequence[Decision], pairs: Sequence[Pair]) -> dict[int, Pair]:
    """Data set's number → the pair of the decision's variant, or else the first one."""
    chosen: dict[int, Pair] = {}
    for pair in pairs:
        row = decisions[pair.place].row if pair.place < len(decisions) else None
        if pair.place not in chosen or (row is not None and row.name == pair.row.name):
            chosen[pair.place] = pair
    return chosen


def _example(pair: Pair, i: str, k: int, dataset: str) -> Example:
    first, second = pair.before[i], pair.after[i]
    one, other = shown_answer(first), shown_answer(second)
    before, after = word_diff(one.text, other.text)
    read = None if one.read is None or other.read is None else Read(one.read, other.read)
    was, now = (number(record["scores"][pair.metric]) for record in (first, second))
    return Example(
        anchor_of(pair, k), dataset, pair.row.name, pair.outcome(i),
        first["example_prompt"][:LENGTH], first["reference"][:LENGTH], before, after,
        f"{pair.metric} {was} → {now}", read,
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
