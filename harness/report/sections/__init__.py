"""The report's sections: leaderboard in, data out."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import Standing, standings
from harness.analysis.table import Table
from harness.report.charts.heat import heat_maps_across
from harness.report.charts.of_table import figures
from harness.report.figure import can_draw
from harness.report.section import Section
from harness.report.sections.answers import answers, flipped, pairs, samples
from harness.report.sections.claims import claims
from harness.report.sections.leaders import leaders
from harness.report.sections.left_out import left_out
from harness.report.sections.lengths import lengths
from harness.report.sections.method import data, loaded, method
from harness.report.sections.scores import (
    categories,
    confusions,
    costs,
    forgetting,
    objectives,
)
from harness.report.sections.settings import settings
from harness.report.sections.verdict import verdict

__all__ = ["sections_of"]


def charts(board: Leaderboard, table: Table, ranked: Sequence[Standing]) -> Section:
    """The charts of one data set."""
    found = tuple(figures(board, table, ranked)) if can_draw() else ()
    notes = () if can_draw() else ("Charts need the package vl-convert-python.",)
    return Section(f"Charts: {table.dataset}", notes, figures=found)


def across(board: Leaderboard) -> Section:
    """The differences of all data sets side by side."""
    return Section("Data sets", figures=tuple(heat_maps_across(board)) if can_draw() else ())


def sections_of(board: Leaderboard) -> list[Section]:
    """Every section, in reading order; those without anything to say are left out."""
    ranked = {table.dataset: standings(table, board.objectives) for table in board.tables}
    found = [verdict(board, ranked), claims(board), across(board)]
    for table in board.tables:
        mine = ranked[table.dataset]
        found += [
            leaders(table), costs(table), objectives(board, table, mine),
            charts(board, table, mine),
        ]  # fmt: skip
    for table in board.tables:
        found += [
            flipped(board, table),
            pairs(board, table),
            answers(table),
            lengths(board, table),
            forgetting(table),
            categories(table),
            confusions(table),
        ]
    found += [
        left_out(board), data(board), loaded(board), samples(board), settings(board),
        method(board),
    ]  # fmt: skip
    return [section for section in found if section.rows or section.notes or section.figures]
