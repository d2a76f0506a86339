"""The answers that a page holds: for each variant with a baseline, both sides of every example.

What fits is shown whole. Of more, the page holds the answers that lost most and a sample in which
every outcome has the share that it has in all.
"""

from __future__ import annotations

import heapq
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from harness.analysis.columns import aligned, ids_of, kept, scores_in
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.metrics.prediction import Prediction, Records
from harness.metrics.reading.answers import answer_of
from harness.metrics.registry import direction_of, example_metric

BYTES = 1_200_000
"""Most bytes of answers in a page; all of them are in predictions.jsonl."""
SIZES: tuple[int | None, ...] = (None, 48, 24, 12, 6, 3, 0)
"""Sample sizes that are tried, until the answers fit; None: every answer."""
WORST = 6
"""The answers that lost most, kept beside a sample."""
PROBED = 20
"""So many pairs, and answers of each, are measured to expect the bytes of all."""
OVERHEAD = 20
"""Bytes of an answer's score, number and marks in JSON."""
LENGTH = 1200
"""Characters kept of a text."""
OUTCOMES = ("lost", "won", "equal")


@dataclass(frozen=True)
class Pair:
    """A variant and its baseline on one data set."""

    place: int
    """The data set's number."""
    number: int
    """The variant's number."""
    row: Row
    metric: str
    before: Records
    after: Records
    changes: Mapping[str, float]
    """Example → how much better the variant scored; negative if worse."""

    def outcome(self, i: str) -> str:
        """`lost`, `won` or `equal`."""
        change = self.changes[i]
        return "lost" if change < 0 else "won" if change > 0 else "equal"

    @cached_property
    def worst(self) -> list[str]:
        """The examples that lost most; ties by id."""
        lost = ((change, i) for i, change in self.changes.items() if change < 0)
        return [i for _, i in heapq.nsmallest(WORST, lost)]

    @cached_property
    def counts(self) -> list[int]:
        """How many examples have each of the `OUTCOMES`."""
        changes = np.array(list(self.changes.values()))
        lost, won = np.count_nonzero(changes < 0), np.count_nonzero(changes > 0)
        return [int(lost), int(won), int(len(changes) - lost - won)]

    def sample(self, size: int | None) -> list[str]:
        """``size`` examples in which each outcome has its share of all, in a fixed random order."""
        if size is None or size >= len(self.changes):
            return self._mixed
        strata = self._strata
        return [i for name, many in _shares(strata, size).items() for i in strata[name][:many]]

    @property
    def _mixed(self) -> list[str]:
        if len(self.changes) < len(self.before) or not self.before:
            return sorted(self.changes, key=_mixed)
        # every example of the baseline: the order is the same for all its variants
        return kept(self.before, "mixed", lambda: sorted(self.before, key=_mixed))

    @cached_property
    def _strata(self) -> dict[str, list[str]]:
        strata: dict[str, list[str]] = {name: [] for name in OUTCOMES}
        for i in self._mixed:
            strata[self.outcome(i)].append(i)
        return strata


@cache
def _mixed(i: str) -> tuple[int, str]:
    """A place in an order that has nothing to do with the content, and is always the same."""
    return zlib.crc32(i.encode()), i


def _shares(strata: Mapping[str, Sequence[str]], size: int) -> dict[str, int]:
    """How many of each stratum: in proportion, by largest remainders."""
    total = sum(map(len, strata.values()))
    exact = {name: size * len(members) / total for name, members in strata.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(strata, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: size - sum(counts.values())]:
        counts[name] += 1
    return counts


def example_numbers(board: Leaderboard, table: Table) -> dict[str, int]:
    """Example → its number in the data set, for links."""
    sides = [row.baseline for row in table.rows if row.baseline]
    sides += [cell for row in table.rows for cell in row.finished[:1]]
    ids = dict.fromkeys(i for cell in sides for i in board.records(cell))
    return {i: number for number, i in enumerate(ids)}


def anchor_of(pair: Pair, number: int) -> str:
    """The id of an example on the page."""
    return f"answer-{pair.place}-{pair.number}-{number}"


def pairs_of(board: Leaderboard, numbers: Mapping[str, int]) -> Iterator[Pair]:
    """Every variant with a baseline and stored answers; of several seeds the first."""
    for place, table in enumerate(board.tables):
        metric = example_metric(table.primary_metric)
        for row in table.rows:
            if row.baseline is None or not row.deltas or not row.finished:
                continue
            before, after = board.records(row.baseline), board.records(row.finished[0])
            direction = table.direction(metric) if metric == table.primary_metric else None
            direction = direction_of(metric) if direction is None else direction
            sign = -1 if direction is False else 1
            ids = ids_of(before)
            change = sign * (
                aligned(scores_in(after, metric), after, ids) - scores_in(before, metric)
            )
            scored = ~np.isnan(change)
            changes = dict(
                zip(itertools.compress(ids, scored), change[scored].tolist(), strict=True)
            )
            if changes:
                yield Pair(place, numbers[row.name], row, metric, before, after, changes)


def answers_json(board: Leaderboard, pairs: Sequence[Pair]) -> str:
    """The answers of ``pairs`` for the page's script: as many as fit in `BYTES`."""
    known = [example_numbers(board, table) for table in board.tables]
    for size in _fitting(pairs):
        text = json.dumps(_record(board, pairs, known, size), ensure_ascii=False,
                          separators=(",", ":"))  # fmt: skip
        if len(text.encode()) <= BYTES:
            break
    return text


def _fitting(pairs: Sequence[Pair]) -> tuple[int | None, ...]:
    """`SIZES` without those that are far too large, by the length of a few answers.

    Writing all answers of a thousand cells to see that they do not fit would take minutes.
    """
    probed = [pair.after[i] for pair in pairs[:: max(1, len(pairs) // PROBED)]
              for i in list(pair.changes)[:PROBED]]  # fmt: skip
    if not probed:
        return (0,)
    each = sum(len(record["prediction"][:LENGTH].encode()) + OVERHEAD for record in probed)
    mean = each / len(probed)

    def expected(size: int | None) -> float:
        counts = (len(p.changes) if size is None else min(len(p.changes), size + WORST)
                  for p in pairs)  # fmt: skip
        return mean * sum(counts)

    return tuple(size for size in SIZES if size == 0 or expected(size) <= BYTES)


def _record(
    board: Leaderboard, pairs: Sequence[Pair], known: Sequence[Mapping[str, int]], size: int | None
) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for place, table in enumerate(board.tables):
        numbers = known[place]
        examples: dict[int, dict[str, str]] = {}
        bases: dict[str, dict[int, list[object]]] = {}
        shown: list[dict[str, object]] = []
        for pair in (p for p in pairs if p.place == place):
            worst, sample = pair.worst, pair.sample(size)
            assert pair.row.baseline is not None
            base = bases.setdefault(pair.row.baseline.key, {})
            answers = {}
            for i in dict.fromkeys([*worst, *sample]):
                k = numbers[i]
                first = pair.before[i]
                if k not in base:  # the variants of a baseline share its answers
                    examples[k] = _question(first)
                    base[k] = _side(first, pair.metric)
                answers[k] = _side(pair.after[i], pair.metric)
            shown.append(
                {"v": pair.number, "b": pair.row.baseline.key, "n": pair.counts,
                 "seeds": len(pair.row.finished), "all": size is None,
                 "worst": [numbers[i] for i in worst], "sample": [numbers[i] for i in sample],
                 "o": {numbers[i]: pair.outcome(i) for i in dict.fromkeys([*worst, *sample])},
                 "a": answers}
            )  # fmt: skip
        made.append({"metric": example_metric(table.primary_metric), "examples": examples,
                     "bases": bases, "pairs": shown})  # fmt: skip
    return made


def _question(record: Prediction) -> dict[str, str]:
    """An example's id, prompt, reference and category."""
    return {
        "i": record["id"], "p": _cut(record["example_prompt"]), "r": _cut(record["reference"]),
        "c": record.get("category") or "",
    }  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}…"


class Shown(NamedTuple):
    """One side's answer as a page shows it."""

    text: str
    read: str | None
    """The number or label that was read; '' if none was found, None if none is looked for."""
    span: tuple[int, int] | None
    """Where it stands in ``text``."""
    reasoning: str


def shown_answer(record: Prediction) -> Shown:
    """The answer without the reasoning before it, and what was read of it."""
    raw = record["prediction"]
    start = 0
    if record.get("reasoning_chars") or record.get("reasoning_closed") is False:
        blanked = answer_of(record).text  # as long as the prediction, its reasoning as spaces
        start = 0 if blanked == raw else len(blanked) - len(blanked.lstrip())
    read, span = read_of(record)
    moved = (span[0] - start, span[1] - start) if span else None
    inside = moved is not None and 0 <= moved[0] < moved[1] <= LENGTH
    return Shown(_cut(raw[start:]), read, moved if inside else None, _cut(raw[:start].strip()))


def _side(record: Prediction, metric: str) -> list[object]:
    """Answer, score, then as far as there is any: what was read, its place, the reasoning."""
    shown = shown_answer(record)
    parts = [shown.text, round(record["scores"][metric], 4), shown.read, shown.span,
             shown.reasoning or None]  # fmt: skip
    while parts[-1] is None:
        parts.pop()
    return parts


def read_of(record: Prediction) -> tuple[str | None, list[int] | None]:
    """The number or label that was read in an answer, and its place; '' if none was found."""
    if "extracted" in record:
        return record["extracted"] or "", record.get("extracted_span")
    if "predicted_label" in record:
        return record["predicted_label"] or "", record.get("label_span")
    return None, None
