"""The decision card: six lines of 80 columns for a data set, and nothing grave is cut off."""

from pathlib import Path

import pytest

from harness.analysis.cautions import Caution, Gravity
from harness.analysis.decision import Decision
from harness.analysis.leaderboard import Leaderboard
from harness.report.card import LINES, card, decision_lines, full_card
from harness.report.sections.decided import decided
from harness.report.terminal import decisions_record
from harness.results.records import Environment
from harness.results.result import CellResult
from harness.results.run import Run
from harness.suite.schema import Objectives

LONG = "a reason that needs many words to be given in full " * 4
DOUBTS = tuple(
    Caution(Gravity.CAREFUL, f"{short}, in a whole sentence.", short)
    for short in ("one seed: training noise unknown", "latencies did not settle", "few examples")
)


def decision(headline="Ship `m · nf4 · r16`.", **more):
    return Decision("finance-qa", "rougeL", "ship", headline, **more)


CARDS = {
    "a plain gain": decision(facts=("+0.1 ROUGE-L over its baseline", "786 MiB", "85 ms")),
    "a long reason": decision(f"Not ready to ship: {LONG}", cautions=DOUBTS),
    "everything is long": decision(LONG, facts=(LONG,), more=(LONG, LONG), cautions=DOUBTS),
    "nothing to say": decision("Nothing can be recommended: no variant has a score."),
}


@pytest.mark.parametrize("case", CARDS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_card_has_six_lines_that_fit(case, width):
    lines = decision_lines(CARDS[case], width)
    assert 1 <= len(lines) <= LINES
    assert max(map(len, lines)) <= width
    assert "`" not in "".join(lines)
    assert lines[0].startswith("finance-qa: ")


@pytest.mark.parametrize("case", CARDS)
@pytest.mark.parametrize("most", [3, 4, 5])
def test_a_card_of_many_is_shorter_and_keeps_what_to_do_and_the_doubts(case, most):
    lines = decision_lines(CARDS[case], 80, most)
    assert 1 <= len(lines) <= most
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("finance-qa: ")
    assert not CARDS[case].cautions or any("Careful: one seed" in line for line in lines)


def test_doubts_are_on_the_card_however_long_the_rest_is():
    lines = decision_lines(CARDS["everything is long"], 80)
    assert lines[-1].startswith("  Careful: one seed")
    assert any(line.endswith("…") for line in lines)


def test_a_doubt_that_the_headline_has_is_not_said_twice():
    lines = decision_lines(
        decision("Candidate: one seed, so noise is unknown.", cautions=DOUBTS), 80
    )
    assert " ".join(lines).count("one seed") == 1


def board(status, reason):
    cell = CellResult("k", status, "m", "none", "base", "d", None, "f", reason=reason)
    run = Run(Path(), {"name": "s"}, Environment(), (cell,))
    return Leaderboard(run, (), Objectives())


def test_json_and_markdown_have_the_words_of_the_card():
    made = decision(facts=("+0.1 ROUGE-L",), cautions=DOUBTS)
    (row,) = decided([made]).rows
    assert row[:3] == ("finance-qa", made.headline, "+0.1 ROUGE-L")
    assert row[-1] == "one seed: training noise unknown; latencies did not settle; few examples"
    record = decisions_record(board("failed", "out of memory"))
    assert record["decisions"] == []
    assert "out of memory" in record["cautions"][0]["text"]


def test_cells_without_a_result_are_counted_and_explained_in_full():
    short, full = (make(board("failed", "out of memory")) for make in (card, full_card))
    assert short == ["1 cell failed: out of memory; --full has the rest"]
    (cut,) = card(board("skipped", f"it needs a GPU: {LONG}"))
    assert cut.startswith("1 cell skipped: it needs a GPU")
    assert len(cut) == 80
    assert "out of memory" in " ".join(full)
