"""The report's sections: leaderboard in, data out."""

from __future__ import annotations

from harness.leaderboard import Leaderboard, Table
from harness.report.charts import can_draw, figures
from harness.report.section import Section
from harness.report.sections.answers import answers, flipped, pairs, samples
from harness.report.sections.claims import claims
from harness.report.sections.method import data, loaded, method
from harness.report.sections.scores import (
    categories,
    confusions,
    costs,
    forgetting,
    leaders,
    objectives,
)
from harness.report.sections.verdict import verdict

__all__ = ["sections_of"]


def charts(board: Leaderboard, table: Table) -> Section:
    """The charts of one data set."""
    found = tuple(figures(board, table)) if can_draw() else ()
    notes = () if can_draw() else ("Charts need the package vl-convert-python.",)
    return Section(f"Charts: {table.dataset}", notes, figures=found)


def sections_of(board: Leaderboard) -> list[Section]:
    """Every section, in reading order; those without anything to say are left out."""
    found = [verdict(board), claims(board)]
    for table in board.tables:
        found += [leaders(table), costs(table), objectives(board, table), charts(board, table)]
    for table in board.tables:
        found += [
            flipped(board, table),
            pairs(board, table),
            answers(table),
            forgetting(table),
            categories(table),
            confusions(table),
        ]
    found += [data(board), loaded(board), samples(board), method(board)]
    return [section for section in found if section.rows or section.notes or section.figures]
