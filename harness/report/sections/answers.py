"""Sections on single answers: flips, pairs, how answers were parsed, samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from harness.analysis.flips import Flip
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.ties import Ties
from harness.counting import counted
from harness.report.section import MISSING, Section, number, optional, shortened
from harness.results.result import CellResult

MATRIX = 18
"""Most rows for which the table of all pairs is shown: beyond, it is wider than a page."""
WORST = 3
"""How many regressions are quoted."""
LEAST_P = 0.001
"""Smaller p-values are shown as `p < 0.001`."""
ACCOUNTS = ("truncated_share", "empty_share", "ambiguous_share")


def flipped(board: Leaderboard, table: Table) -> Section:
    """Examples won, lost, both right, both wrong and unparsed, of each row and its baseline."""
    rows: list[tuple[str, ...]] = []
    worst: list[tuple[str, Flip]] = []
    for row in table.rows:
        if not row.deltas or row.baseline is None:
            continue
        for cell in row.finished:
            before, after = board.records(row.baseline), board.records(cell)
            flips = table.flips(before, after)
            if flips is None:
                continue
            counts = (
                flips.won, flips.lost, flips.both_right, flips.both_wrong, flips.tied,
                flips.unparsed_first, flips.unparsed_second,
            )  # fmt: skip
            seed = MISSING if cell.seed is None else str(cell.seed)
            axes = (row.model, row.quantization, row.adapter, seed)
            rows.append((*axes, *(MISSING if n is None else str(n) for n in counts)))
            worst += [(f"{row.name}, seed {seed}", flip) for flip in flips.regressions[:WORST]]
    columns = (
        "model", "quantization", "adapter", "seed", "won", "lost", "both right", "both wrong",
        "tied", "unparsed before", "unparsed after",
    )  # fmt: skip
    # name and id break ties, so that the same run gives the same bytes
    worst.sort(key=lambda pair: (-pair[1].loss, pair[0], pair[1].id))
    if not board.run.has_texts:
        worst = []
    notes = [f"The worst regressions in {table.primary_metric}:"] if worst else []
    notes += [f"{name}, example {flip.id}: {regression(flip)}" for name, flip in worst[:WORST]]
    return Section(f"Flips: {table.dataset}", tuple(notes), columns, tuple(rows))


def pairs(board: Leaderboard, table: Table) -> Section:
    """Examples won and lost in every pair of rows."""
    title = f"Pairs: {table.dataset}"
    rows = [row for row in table.rows if row.values(table.primary_metric)]
    if not 2 <= len(rows) <= MATRIX:
        return Section(title)
    sides = [board.records(row.finished[0]) for row in rows]
    if not all(sides):
        return Section(title)
    texts: dict[tuple[int, int], str] = {}
    for one, other in combinations(range(len(rows)), 2):
        flips = table.flips(sides[other], sides[one])
        if flips:
            p = _p_text(table, rows[one].name, rows[other].name)
            texts[one, other] = f"{flips.won}:{flips.lost}{p}"
            texts[other, one] = f"{flips.lost}:{flips.won}{p}"
    places = range(len(rows))
    body = [(rows[i].name, *(texts.get((i, j), MISSING) for j in places)) for i in places]
    notes = [f"Examples that the row won : lost against the column{_seeds(rows)}."]
    if table.ties:
        notes.append(_p_note(table.primary_metric, table.ties))
    columns = ("row against column", *(row.name for row in rows))
    return Section(title, tuple(notes), columns, tuple(body))


def _seeds(rows: Sequence[Row]) -> str:
    return ", in the first seed" if any(len(row.finished) > 1 for row in rows) else ""


def _p_note(metric: str, ties: Ties) -> str:
    text = (
        f"p tests for a difference in {metric} over all seeds, with Holm's correction for the"
        f" {counted(ties.pairs, 'pair')}."
    )
    if ties.least < LEAST_P:
        return text
    return f"{text} The permutation test cannot give less than {ties.least:.3f}."


def _p_text(table: Table, one: str, other: str) -> str:
    p = table.ties.p_values.get((one, other)) if table.ties else None
    if p is None:
        return ""
    return f", p < {LEAST_P}" if p < LEAST_P else f", p {p:.3f}"


def regression(flip: Flip, width: int = 160) -> str:
    """One line: loss, question, reference and both answers."""
    texts = (
        flip.second["example_prompt"], flip.second["reference"],
        flip.first["prediction"], flip.second["prediction"],
    )  # fmt: skip
    asked, reference, before, after = (shortened(" ".join(text.split()), width) for text in texts)
    return (
        f"−{number(flip.loss)}. Prompt “{asked}”; reference “{reference}”; baseline “{before}”;"
        f" now “{after}”"
    )


def answers(table: Table) -> Section:
    """How answers were parsed: n, share parsed, truncated, empty, ambiguous; scores if parsed."""
    names = [m for m in table.scored() if any(row.values(f"{m}_parsed") for row in table.rows)]
    metric = names[0] if names else table.primary_metric
    rows = []
    for row in table.rows:
        cell = next(iter(row.finished), None)
        if cell is None or not row.values("empty_share"):
            continue
        unparsed = row.mean("unparsed_share")
        score = row.mean(metric)
        given = row.mean(f"{metric}_parsed") if unparsed else score
        rows.append(
            (
                row.model, row.quantization, row.adapter, _count(cell),
                MISSING if unparsed is None else f"{1 - unparsed:.1%}",
                *(_share(row, name) for name in ACCOUNTS),
                optional(score) if unparsed is not None else MISSING,
                optional(given) if unparsed is not None else MISSING,
            )
        )  # fmt: skip
    columns = (
        "model", "quantization", "adapter", "n", "parsed", "truncated", "empty", "ambiguous",
        metric, f"{metric} if parsed",
    )  # fmt: skip
    return Section(f"Answers: {table.dataset}", (), columns, tuple(rows))


def _count(cell: CellResult) -> str:
    """How many test examples were answered; the control set is not counted."""
    value = cell.value("empty_share")
    return MISSING if value is None or value.n is None else str(value.n)


def _share(row: Row, metric: str) -> str:
    mean = row.mean(metric)
    return MISSING if mean is None else f"{mean:.1%}"


def samples(board: Leaderboard) -> Section:
    """The first examples of a data set with both answers."""
    rows: list[tuple[str, ...]] = []
    for table in board.tables if board.run.has_texts else ():
        row = next((r for r in table.rows if r.deltas and r.baseline), None)
        if row is None or row.baseline is None:
            continue
        before = board.records(row.baseline)
        for record in list(board.records(row.finished[0]).values())[:3]:
            base = before.get(record["id"], {})
            rows.append(
                (
                    table.dataset, record["example_prompt"], record["reference"],
                    base.get("prediction", MISSING), record["prediction"],
                )
            )  # fmt: skip
    if not rows:
        return Section("Samples")
    columns = ("data set", "prompt", "reference", "baseline", "fine-tuned")
    note = (
        "The first three examples of the first row that has a baseline. All answers are in each"
        " cell's predictions.jsonl."
    )
    return Section("Samples", (note,), columns, tuple(rows))
