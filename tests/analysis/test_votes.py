"""Votes counted by pair: a question counts once, blind and open votes apart, sides turned."""

import json
from dataclasses import asdict

import pytest
from click.testing import CliRunner
from scipy.stats import binomtest
from stubs import stub_run

from harness.analysis.votes import count_votes
from harness.analysis.win_rate import WINS, win_difference, win_rate
from harness.cli import main
from harness.results.run import load_run
from harness.results.votes import Vote

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, root):
    """A run directory, by the backend without torch."""
    return stub_run(tmp_path_factory.mktemp("votes"), root, SUITE)


@pytest.fixture
def run(finished):
    """The run, and a function that votes on two of its adapters."""
    keys = {cell.adapter: cell.key for cell in load_run(finished).cells}

    def vote(first, second, choices, *, blind=True, question="q{}"):
        votes = [
            Vote(
                at="2026-01-01T00:00:00+00:00", question=question.format(number), example=None,
                first=keys.get(first, first), second=keys.get(second, second),
                first_answer="x", second_answer="y", choice=choice, blind=blind, left="first",
            )
            for number, choice in enumerate(choices)
        ]  # fmt: skip
        # not by `append_vote`, which waits for the disk after each
        with (finished / "votes.jsonl").open("a") as file:
            file.writelines(f"{json.dumps(asdict(vote))}\n" for vote in votes)

    yield finished, vote
    (finished / "votes.jsonl").unlink(missing_ok=True)


def rows(run):
    return count_votes(load_run(run)).rows


WON, LOST = "second", "first"


@pytest.mark.parametrize(
    ("choices", "counts", "preferred"),
    [
        ([WON] * 8 + [LOST] + ["tie"] * 3, (8, 1, 3), "second"),
        ([LOST] * 9, (0, 9, 0), "first"),
        ([WON, LOST, "tie", "both bad"], (1, 1, 2), "undecided"),
        (["tie", "both bad"], (0, 0, 2), "undecided"),
    ],
)
def test_wins_losses_and_ties_of_the_second(run, choices, counts, preferred):
    folder, vote = run
    vote("base", "a", choices)
    (row,) = rows(folder)
    assert (row.won, row.lost, row.tied) == counts
    assert row.both_bad == choices.count("both bad")
    assert row.preferred == preferred
    won, lost, tied = counts
    assert row.win_rate == (won + tied / 2) / (won + lost + tied)
    assert row.interval.rate == pytest.approx(row.win_rate)
    assert row.interval.low <= row.win_rate <= row.interval.high
    # the sign test over what was decided; without ties its mid-p form
    exact = binomtest(won, won + lost).pvalue if won + lost else 1
    assert row.delta.p_value == pytest.approx(exact if tied else exact / 2)


def test_votes_and_a_judge_have_one_win_rate(run):
    folder, vote = run
    choices = [WON] * 14 + [LOST] * 4 + ["tie"] * 5 + ["both bad"]
    vote("base", "a", choices)
    (row,) = rows(folder)
    points = [{WON: 1.0, LOST: 0.0}.get(choice, 0.5) for choice in choices]
    judge = win_rate(
        win_difference(
            {None: records([1 - each for each in points])}, {None: records(points)}
        )
    )  # fmt: skip
    assert row.interval == judge
    assert judge.rate == pytest.approx((14 + 6 / 2) / 24)


def records(scores):
    return {f"q{k}": {"id": f"q{k}", "group": None, "scores": {WINS: score}}
            for k, score in enumerate(scores)}  # fmt: skip


def test_one_question_has_a_rate_and_no_interval(run):
    folder, vote = run
    vote("base", "a", [WON])
    (row,) = rows(folder)
    assert (row.win_rate, row.interval, row.preferred) == (1.0, None, "undecided")
    assert row.record()["p_value"] is None
    assert "win rate 100%  1:0:0 (won:lost:tied)  p –  undecided" in compare(folder).output


def test_the_sides_may_be_given_either_way_round(run):
    folder, vote = run
    vote("base", "a", [WON, WON, "tie"])
    vote("a", "base", [LOST, LOST, WON], question="other {}")
    (row,) = rows(folder)
    assert row.pair.endswith("base → a, ru-calculations")
    assert (row.won, row.lost, row.tied) == (4, 1, 1)


def test_a_question_counts_once_however_often_it_was_judged(run):
    folder, vote = run
    vote("base", "a", [WON] * 5 + [LOST], question="the same")
    vote("base", "a", [WON, LOST], question="a split one")
    (row,) = rows(folder)
    assert (row.votes, row.questions) == (8, 2)
    assert (row.won, row.lost, row.tied) == (1, 0, 1)


def test_blind_votes_and_open_ones_are_not_mixed(run):
    folder, vote = run
    vote("base", "a", [WON] * 9, blind=False)
    vote("base", "a", [LOST] * 2, blind=True)
    blind, seen = rows(folder)
    assert (blind.blind, blind.lost, blind.preferred) == (True, 2, "undecided")
    assert (seen.blind, seen.won, seen.preferred) == (False, 9, "second")


def test_p_values_are_adjusted_over_all_pairs(run):
    folder, vote = run
    vote("base", "a", [WON] * 6)
    alone = rows(folder)[0]
    vote("base", "b", [WON, LOST])
    vote("a", "b", [WON, LOST])
    vote("base", "a", [WON, LOST], blind=False)
    first = rows(folder)[0]
    assert alone.delta.p_adjusted == alone.delta.p_value == first.delta.p_value
    assert first.delta.p_adjusted == pytest.approx(4 * first.delta.p_value)
    assert (alone.preferred, first.preferred) == ("second", "undecided")


def compare(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments), "--votes"])


def test_the_command_prints_them(run):
    folder, vote = run
    vote("base", "a", [WON] * 9 + ["tie"])
    vote("base", "gone", [WON])
    result = compare(folder)
    assert result.exit_code == 0, result.output
    assert "tiny-qwen2, none, base → a, ru-calculations (10 blind)" in result.output
    assert "win rate 95% [75%, 100%]  9:0:1 (won:lost:tied)" in result.output
    assert result.stdout.rstrip().endswith("a")
    assert "1 vote is on cells of earlier settings" in result.stderr
    (record,) = json.loads(compare(folder, "--json").stdout)
    assert (record["won"], record["preferred"], record["blind"]) == (9, "second", True)
    assert "| 10 blind |" in compare(folder, "--markdown").stdout


def test_the_command_says_how_to_vote(run):
    result = compare(run[0])
    assert result.exit_code == 0
    assert "no votes yet: `harness demo" in result.stderr


@pytest.mark.parametrize("more", [["--axis", "adapter"], ["--flips", "3"], ["--margin", "0.1"]])
def test_votes_are_no_other_comparison(run, more):
    result = compare(run[0], *more)
    assert result.exit_code == 2
    assert "--votes takes one run" in result.output


def test_a_damaged_line_is_named(run):
    (run[0] / "votes.jsonl").write_text("{}\n")
    result = compare(run[0])
    assert result.exit_code == 2
    assert "votes.jsonl:1: is damaged" in result.output
