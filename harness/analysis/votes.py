"""What people preferred: the votes of a run, counted for each pair of variants.

A question counts once, however often a pair was judged on it: votes on one question are not
independent. Votes in the open, where the names were seen, are never mixed with blind ones. Win
rate, interval and test are those of a judge's verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from harness.analysis.difference import Delta
from harness.analysis.family import holm_list
from harness.analysis.pairs import pair_name
from harness.analysis.win_rate import WINS, WinRate, win_difference, win_rate
from harness.metrics.prediction import Records
from harness.results.result import CellResult
from harness.results.run import Run
from harness.results.votes import Vote, read_votes, turned
from harness.suite.schema import AXES

Preference = Literal["second", "first", "undecided"]
_PREFERRED: Mapping[str, Preference] = {"better": "second", "worse": "first"}


@dataclass(frozen=True)
class Tally:
    """The votes on one pair of variants, of one kind; wins are those of the second."""

    pair: str
    """Axis values that both share, and `first → second` for those that differ."""
    first: str
    """The key of a cell: of the two, the earlier one of the run, so as a rule the baseline."""
    second: str
    names: tuple[str, str]
    """Of both, the axis values in which they differ."""
    blind: bool
    votes: int
    questions: int
    """Different questions; each counts once below."""
    won: int
    """Questions on which the second was preferred."""
    lost: int
    tied: int
    """Questions without a preference, those with both answers bad among them."""
    both_bad: int
    """Votes that said that both answers are bad."""
    delta: Delta | None
    """Share won minus share lost, adjusted by Holm over the run; None for a single question."""

    @property
    def win_rate(self) -> float:
        """The share of questions that the second won, where a tie counts as half."""
        return (self.won + self.tied / 2) / self.questions

    @property
    def interval(self) -> WinRate | None:
        """The win rate with its 95% interval; None for a single question."""
        return None if self.delta is None else win_rate(self.delta)

    @property
    def preferred(self) -> Preference:
        """Which variant is preferred beyond chance."""
        verdict = "undecided" if self.delta is None else self.delta.verdict
        return _PREFERRED.get(verdict, "undecided")

    @property
    def words(self) -> str:
        """The name of what is preferred, or `undecided`."""
        if self.preferred == "undecided":
            return "undecided"
        return self.names[self.preferred == "second"]

    def record(self) -> dict[str, object]:
        """The row as plain JSON values."""
        own = {name: value for name, value in asdict(self).items() if name != "delta"}
        _, low, high = self.interval or (None, None, None)
        return {
            **own, "p_value": self.delta and self.delta.p_value,
            "p_adjusted": self.delta and self.delta.p_adjusted, "win_rate": self.win_rate,
            "low": low, "high": high, "preferred": self.preferred,
        }  # fmt: skip


@dataclass(frozen=True)
class VoteTable:
    """The votes of a run."""

    rows: tuple[Tally, ...]
    """Blind votes first, pairs in the order of the run's cells."""
    left_out: int = 0
    """Votes on cells that the run no longer has: settings have changed since."""

    def records(self) -> list[dict[str, object]]:
        """One plain record for each row."""
        return [row.record() for row in self.rows]


def count_votes(run: Run) -> VoteTable:
    """The votes of ``run``, counted.

    Raises:
        DamagedFile: a line of the file is cut or edited.
    """
    cells = {cell.key: cell for cell in run.cells}
    order = {key: k for k, key in enumerate(cells)}
    groups: dict[tuple[bool, int, int], list[Vote]] = defaultdict(list)
    votes = read_votes(run.directory)
    for vote in votes:
        if vote.first in order and vote.second in order:
            turned = vote if order[vote.first] < order[vote.second] else _turned(vote)
            groups[not vote.blind, order[turned.first], order[turned.second]].append(turned)
    rows = [_tally(cells, group) for _, group in sorted(groups.items(), key=lambda item: item[0])]
    adjusted = iter(holm_list([row.delta for row in rows if row.delta]))
    known = sum(row.votes for row in rows)
    return VoteTable(
        tuple(replace(row, delta=next(adjusted)) if row.delta else row for row in rows),
        len(votes) - known,
    )


def _turned(vote: Vote) -> Vote:
    """``vote`` with its two sides exchanged."""
    return replace(
        vote, first=vote.second, second=vote.first, first_answer=vote.second_answer,
        second_answer=vote.first_answer, choice=turned(vote.choice),
        left="second" if vote.left == "first" else "first",
    )  # fmt: skip


def _tally(cells: Mapping[str, CellResult], votes: Sequence[Vote]) -> Tally:
    one = votes[0]
    by_question: dict[str, int] = defaultdict(int)
    for vote in votes:
        by_question[vote.example or vote.question] += _points(vote)
    won, lost = _count(by_question.values(), 1), _count(by_question.values(), -1)
    return Tally(
        pair=pair_name(cells[one.first], cells[one.second]),
        first=one.first,
        second=one.second,
        names=_names(cells[one.first], cells[one.second]),
        blind=one.blind,
        votes=len(votes),
        questions=len(by_question),
        won=won,
        lost=lost,
        tied=len(by_question) - won - lost,
        both_bad=sum(vote.choice == "both bad" for vote in votes),
        delta=win_difference(
            {None: _records(by_question, sign=-1)}, {None: _records(by_question, sign=1)}
        ),
    )


def _names(first: CellResult, second: CellResult) -> tuple[str, str]:
    differing = [axis for axis in AXES if getattr(first, axis) != getattr(second, axis)]
    if "adapter" in differing and None in (first.seed, second.seed):
        differing.remove("seed")  # an untouched model has none
    one, other = (
        " · ".join(str(getattr(cell, axis)) for axis in differing) for cell in (first, second)
    )
    return one, other


def _records(by_question: Mapping[str, int], *, sign: int) -> Records:
    """Each question with the score of one side, as our statistics take it."""
    return {
        question: {"id": question, "group": None, "scores": {WINS: _score(sign * points)}}
        for question, points in by_question.items()
    }


def _score(points: int) -> float:
    return (1 + (points > 0) - (points < 0)) / 2


def _points(vote: Vote) -> int:
    return (vote.choice == "second") - (vote.choice == "first")


def _count(sums: Iterable[int], sign: int) -> int:
    return sum(sign * each > 0 for each in sums)
