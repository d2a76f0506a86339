"""What a judge's verdicts say of each variant: win rate with its interval, bias, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.difference import Delta
from harness.analysis.family import holm_list
from harness.analysis.win_rate import WINS, WinRate, win_difference, win_rate
from harness.metrics.prediction import Records
from harness.results.judgements import Judgement, JudgeRecord, Side, answer_hash, read_judgements
from harness.results.result import CellResult, by_id
from harness.results.run import Run
from harness.statistics.agreement import Agreement, agreement

SCORES: Mapping[Side, float] = {"second": 1.0, "tie": 0.5, "first": 0.0}


@dataclass(frozen=True)
class JudgedRow:
    """A variant and its reference on one data set, seeds together."""

    dataset: str
    first: str
    """The reference: model, quantization, adapter."""
    second: str
    verdicts: tuple[Judgement, ...] = field(repr=False)
    """Those on the answers that the cells have now."""
    stale: int = 0
    """Verdicts on answers that a later run replaced; they do not count."""
    delta: Delta | None = None
    """Share won minus share lost; None where fewer than two examples are judged."""

    def count(self, outcome: Side) -> int:
        """How often the outcome was ``outcome``."""
        return sum(verdict.outcome == outcome for verdict in self.verdicts)

    @property
    def inconsistent(self) -> int:
        """Ties that are ties because the verdict followed the order of the answers."""
        return sum(verdict.is_inconsistent for verdict in self.verdicts)

    @property
    def same(self) -> int:
        """Ties of two answers that are the same text."""
        return sum(verdict.is_same for verdict in self.verdicts)

    @property
    def failures(self) -> int:
        """Pairs without a verdict, which do not count."""
        return sum(verdict.outcome is None for verdict in self.verdicts)

    @property
    def win_rate(self) -> WinRate | None:
        """Share won, ties half; None where fewer than two examples are judged."""
        return None if self.delta is None else win_rate(self.delta)


@dataclass(frozen=True)
class JudgedRun:
    """A judge's verdicts on a run."""

    record: JudgeRecord
    rows: tuple[JudgedRow, ...]

    @property
    def verdicts(self) -> list[Judgement]:
        """Those that were asked for and count."""
        return [v for row in self.rows for v in row.verdicts if not v.is_same]

    @property
    def first_shown(self) -> tuple[int, int]:
        """How often the answer that was shown first won, of how many verdicts with a winner.

        A judge without a preference for a place has half of them.
        """
        shown = [("first", v.forward) for v in self.verdicts]
        shown += [("second", v.backward) for v in self.verdicts]
        decided = [(place, won) for place, won in shown if won in ("first", "second")]
        return sum(place == won for place, won in decided), len(decided)

    @property
    def longer_won(self) -> tuple[int, int]:
        """How often the longer answer won, of how many pairs with a winner and two lengths."""
        decided = [v for v in self.verdicts if v.longer and v.outcome in ("first", "second")]
        return sum((v.longer > 0) == (v.outcome == "second") for v in decided), len(decided)

    @property
    def with_people(self) -> Agreement | None:
        """How far the judge agrees with people; None without their verdicts on these pairs."""
        ours = {(v.first, v.second, v.id): v.outcome for r in self.rows for v in r.verdicts}
        pairs = [
            (outcome, label.verdict)
            for label in self.record.labels
            if (outcome := ours.get((label.first, label.second, label.id)))
        ]
        return agreement([a for a, _ in pairs], [b for _, b in pairs])


def judged_run(run: Run) -> JudgedRun | None:
    """What a judge said of ``run``, without verdicts on answers that are gone; None without one.

    Raises:
        DamagedFile: a file of the verdicts is damaged.
    """
    if run.homes:  # several runs in one: each has its own judge, and its own report
        return None
    found = read_judgements(run.directory)
    if found is None:
        return None
    cells = {cell.key: cell for cell in run.cells if cell.status == "ok"}
    groups: dict[tuple[str, ...], list[Judgement]] = {}
    for verdict in found.verdicts:
        if verdict.first in cells and verdict.second in cells:
            sides = (_variant(cells[verdict.first]), _variant(cells[verdict.second]))
            groups.setdefault((verdict.dataset, *sides), []).append(verdict)
    read = _Answers(run, cells)
    rows = [_row(key, verdicts, read) for key, verdicts in groups.items()]
    deltas = iter(holm_list([row.delta for row in rows if row.delta]))
    return JudgedRun(
        found.record, tuple(replace(r, delta=next(deltas)) if r.delta else r for r in rows)
    )


class _Answers:
    """The records of cells, each read once."""

    def __init__(self, run: Run, cells: Mapping[str, CellResult]) -> None:
        self.cells = cells
        self._run = run
        self._records: dict[str, Records] = {}

    def of(self, key: str) -> Records:
        """The records of the cell ``key`` by example."""
        if key not in self._records:
            self._records[key] = by_id(self._run.predictions(self.cells[key]))
        return self._records[key]

    def are_those(self, verdict: Judgement) -> bool:
        """Whether ``verdict`` is on the answers of now."""
        sides = ((verdict.first, verdict.first_answer), (verdict.second, verdict.second_answer))
        return all(
            (record := self.of(key).get(verdict.id)) is not None and answer_hash(record) == answer
            for key, answer in sides
        )


def _row(key: tuple[str, ...], verdicts: Sequence[Judgement], read: _Answers) -> JudgedRow:
    kept = [verdict for verdict in verdicts if read.are_those(verdict)]
    dataset, first, second = key
    row = JudgedRow(dataset, first, second, tuple(kept), stale=len(verdicts) - len(kept))
    seeds: dict[int | None, list[Judgement]] = {}
    for verdict in kept:
        seeds.setdefault(read.cells[verdict.second].seed, []).append(verdict)
    before = {seed: _scores(found, read, won=False) for seed, found in seeds.items()}
    after = {seed: _scores(found, read, won=True) for seed, found in seeds.items()}
    if not any(after.values()):
        return row
    return replace(row, delta=win_difference(before, after))


def _scores(verdicts: Sequence[Judgement], read: _Answers, *, won: bool) -> Records:
    """Each judged example with the score of one side, as our statistics take it."""
    found: Records = {}
    for verdict in verdicts:
        if verdict.outcome is None:
            continue
        score = SCORES[verdict.outcome]
        found[verdict.id] = {
            "id": verdict.id,
            "group": read.of(verdict.second)[verdict.id].get("group"),
            "scores": {WINS: score if won else 1 - score},
        }
    return found


def _variant(cell: CellResult) -> str:
    return f"{cell.model}, {cell.quantization}, {cell.adapter}"
