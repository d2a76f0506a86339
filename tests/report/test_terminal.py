"""The leaderboard on a terminal: names and warnings as they are."""

import io

import pytest
from rich.console import Console

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.report.terminal import print_leaderboard
from harness.results.result import CellResult, Value
from harness.results.run import Run
from harness.suite.schema import Objectives


def shown(name, **more):
    values = (Value("rougeL", 0.5, n=10),)
    cell = CellResult(
        "k",
        "ok",
        name,
        "none",
        name,
        "d",
        None,
        "f",
        primary_metric="rougeL",
        values=values,
        **more,
    )
    table = Table("d", "generation", "rougeL", (Row(name, "none", name, (cell,), None, {}),))
    out = io.StringIO()
    run = Run(__file__, {"name": "s"}, {}, (cell,))
    print_leaderboard(
        Leaderboard(run, (table,), Objectives()), Console(file=out, width=100), full=True
    )
    return out.getvalue()


@pytest.mark.parametrize("name", ["r8[attn]", "[/INST]", "[bold]r8", ":smile:"])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(name):
    assert shown(name).count(name) >= 2


def test_an_escape_in_a_name_does_not_reach_the_terminal():
    text = shown("a\x1b[2J")
    assert "\x1b[2J" not in text
    assert "a\\u001b[2J" in text


def test_test_prompts_that_are_in_training_are_said_on_the_terminal():
    data = {"overlap_exact": 0, "overlap_near": 82, "test_rows": 90}
    assert "of 90 test prompts, 82 nearly repeat" in " ".join(shown("m", data=data).split())
