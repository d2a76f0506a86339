"""The decision for each data set, and on request the leaderboards, within 80 columns."""

from __future__ import annotations

from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from harness.analysis.cautions import run_cautions
from harness.analysis.decision import decisions
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.counting import counted
from harness.report.card import card, full_card
from harness.report.contrast_text import along_lines
from harness.report.section import MISSING, number
from harness.report.sections.verdict import verdict_notes
from harness.results.text import printable


def print_leaderboard(board: Leaderboard, console: Console, *, full: bool = False) -> None:
    """Print what to do about each data set; with ``full`` every reason and table, too."""
    lines = (full_card if full else card)(board, console.width)
    for line in lines:
        name, colon, rest = line.partition(": ")
        styled = Text()
        head = not line.startswith(" ") and colon
        styled.append(printable(name + colon), "bold" if head else "")
        styled.append(printable(rest))
        console.print(styled, soft_wrap=True)
    if full:
        console.print()
        _print_tables(board, console)


def decisions_record(board: Leaderboard) -> dict[str, object]:
    """The decisions, the run's cautions and the contrasts of every axis, for JSON."""
    cautions = [
        {"gravity": each.gravity.name.lower(), "text": each.text}
        for each in run_cautions(board.deciding)
    ]
    return {
        "decisions": [each.record() for each in decisions(board)],
        "cautions": cautions,
        "axes": [record for each in board.along.values() for record in each.records()],
    }


def _print_tables(board: Leaderboard, console: Console) -> None:
    """Print one table and its notes per data set, the axes, and skipped rows by reason."""
    for table in board.tables:
        if any(row.status != "skipped" for row in table.rows):
            console.print(_table(table))
            for note in verdict_notes(table):
                console.print(Padding(_plain(note), (0, 0, 0, 2)))
            console.print()
    for each in board.along.values():
        for line in along_lines(each):
            console.print(_plain(line))
        console.print()
    skipped = Counter(c.reason for c in board.run.cells if c.status == "skipped")
    for reason, count in skipped.items():
        console.print(_plain(f"{counted(count, 'cell')} skipped: {reason}"))


def _table(table: Table) -> RichTable:
    drawn = RichTable(
        title=_plain(f"{table.dataset}: {table.primary_metric}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("model", "quant", "adapter"):
        drawn.add_column(name, no_wrap=True)
    for name in ("value", "tie", "Δ", "95%", "verdict"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        if row.status != "skipped":
            texts = (row.model, row.quantization, row.adapter, *_numbers(table, row))
            drawn.add_row(*map(_plain, texts))
    return drawn


def _plain(text: str) -> Text:
    """``text`` taken literally: a name may look like rich's markup or hold terminal escapes."""
    return Text(printable(text))


def _numbers(table: Table, row: Row) -> tuple[str, ...]:
    mean = row.mean(table.primary_metric)
    if mean is None:
        return (MISSING, MISSING, MISSING, MISSING, row.status)
    delta = row.deltas.get(table.primary_metric)
    tie = table.ties.letters.get(row.name, MISSING) if table.ties else MISSING
    if delta is None:
        return (_short(mean), tie, MISSING, MISSING, MISSING)
    interval = f"{delta.low:+.2f} {delta.high:+.2f}"
    return (_short(mean), tie, f"{delta.delta:+.3f}", interval, delta.verdict)


def _short(value: float) -> str:
    """Three decimals for shares and scores, else as in the report."""
    return f"{value:.3f}" if abs(value) < 10 else number(value)
