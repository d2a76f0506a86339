"""A section that another package registers is part of every report."""

import pytest

from harness.analysis.leaderboard import Leaderboard
from harness.report.section import Section
from harness.report.sections import section, sections_of
from harness.report.sections.registry import SECTIONS
from harness.results.records import Environment
from harness.results.run import Run
from harness.suite.schema import Objectives


@pytest.mark.parametrize("part", ["opening", "closing"])
def test_an_added_section_comes_last_in_its_part(part, monkeypatch, tmp_path):
    monkeypatch.setitem(SECTIONS, part, list(SECTIONS[part]))

    @section(part)
    def mine(board):
        return Section("Mine", (f"{len(board.tables)} tables",))

    run = Run(tmp_path, {"name": "s"}, Environment(), ())
    found = [each.title for each in sections_of(Leaderboard(run, (), Objectives()))]
    first_of_closing = found.index("Method")
    place = found.index("Mine")
    assert place == len(found) - 1 if part == "closing" else place < first_of_closing
