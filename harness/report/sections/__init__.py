"""The report's sections: leaderboard in, data out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Table
from harness.report.charts.heat import heat_maps_across
from harness.report.charts.of_table import figures
from harness.report.figure import can_draw
from harness.report.section import Section
from harness.report.sections.answers import answers, flipped, pairs, samples
from harness.report.sections.by_axis import by_axis
from harness.report.sections.claims import claims
from harness.report.sections.history import history, runs_in_time
from harness.report.sections.judged import judged
from harness.report.sections.leaders import leaders
from harness.report.sections.left_out import left_out
from harness.report.sections.lengths import lengths
from harness.report.sections.method import data, loaded, method
from harness.report.sections.registry import SECTIONS, Part, section
from harness.report.sections.scores import (
    categories,
    confusions,
    costs,
    forgetting,
    objectives,
)
from harness.report.sections.served import served
from harness.report.sections.settings import settings
from harness.report.sections.verdict import verdict

__all__ = ["section", "sections_of"]


def charts(board: Leaderboard, table: Table) -> Section:
    """The charts of one data set."""
    title = f"Charts: {table.dataset}"
    if not can_draw():
        return Section(title, ("To draw charts, install the package vl-convert-python.",))
    return Section(title, figures=tuple(figures(board, table, board.ranked[table.dataset])))


def across(board: Leaderboard) -> Section:
    """The differences of all data sets side by side."""
    return Section("Data sets", figures=tuple(heat_maps_across(board)) if can_draw() else ())


def _of_table(make: Callable[[Table], Section]) -> Callable[[Leaderboard, Table], Section]:
    """``make`` as a function of board and table."""
    return lambda _, table: make(table)


SHIPPED: dict[Part, tuple[Callable[..., Section], ...]] = {
    "opening": (
        lambda board: verdict(board, board.ranked),
        by_axis,
        runs_in_time,
        history,
        claims,
        judged,
        across,
    ),
    "data set": (
        leaders,
        _of_table(costs),
        lambda board, table: objectives(board, table, board.ranked[table.dataset]),
        charts,
    ),
    "details": (
        flipped,
        pairs,
        _of_table(answers),
        lengths,
        _of_table(forgetting),
        _of_table(categories),
        _of_table(confusions),
    ),
    "closing": (left_out, data, loaded, served, samples, settings, method),
}
"""The sections of every report, in reading order."""
for _part, _functions in SHIPPED.items():
    SECTIONS[_part] = [*_functions, *SECTIONS[_part]]


def sections_of(board: Leaderboard) -> list[Section]:
    """Every section in reading order; empty ones are left out."""
    made = [make(board) for make in SECTIONS["opening"]]
    for part in ("data set", "details"):
        made += [make(board, table) for table in board.tables for make in SECTIONS[part]]
    made += [make(board) for make in SECTIONS["closing"]]
    whole = [each for each in made if each.rows or each.notes or each.figures]
    cut = [each.limited() for each in whole]
    gone = _anchors(whole) - _anchors(cut)
    return [each.without_links_to(gone) for each in cut] if gone else cut


def _anchors(sections: Iterable[Section]) -> set[str]:
    return {name for each in sections for name in each.anchors}
