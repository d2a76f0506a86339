"""A judge with every fault that judges have: what is counted, and what the report says."""

import json
import re

import pytest
from click.testing import CliRunner
from model_server import Fault, question_of

import harness
from harness.analysis.judged import judged_run
from harness.cli import main
from harness.errors import DamagedFile, HarnessError
from harness.results.run import load_run

ANSWERS = re.compile(
    r"<answer-A-\w+>\n(.*?)\n</answer-A-.*<answer-B-\w+>\n(.*?)\n</answer-B-", re.S
)


def shown(body):
    """The two answers that a judge sees, A first."""
    return ANSWERS.search(question_of(body)).groups()


def fair(body):
    """Prefers an answer to no answer."""
    one, other = (text != "…" for text in shown(body))
    return f"Verdict: {'tie' if one == other else 'A' if one else 'B'}"


def test_the_better_answer_wins_both_ways_round(finished, judged, judge_server):
    judge_server.answer = fair
    found, _ = section = judged(finished())
    row = section.row
    won, lost, tied = (row.count(outcome) for outcome in ("second", "first", "tie"))
    assert won + lost + tied == len(row.verdicts) == 24
    assert won > lost
    assert row.same == tied  # the same text on both sides: nobody was asked
    assert len(judge_server.asked) == 2 * (24 - tied) == found.record.asked
    rate, low, high = row.win_rate
    assert rate == pytest.approx((won + tied / 2) / 24)
    assert 0 <= low <= rate <= high <= 1
    assert row.inconsistent == row.failures == row.stale == 0
    first, decided = found.first_shown
    assert first * 2 == decided


def test_a_judge_that_likes_the_first_place_finds_ties_alone(finished, judged, judge_server):
    judge_server.answer = lambda body: "Verdict: A"
    found, text = section = judged(finished())
    row = section.row
    assert row.count("tie") == 24
    assert row.inconsistent == 24 - row.same > 0
    assert row.delta.verdict == "undecided"
    first, decided = found.first_shown
    assert first == decided == 2 * row.inconsistent
    assert f"shown first won {first} of {decided}" in text


def test_a_judge_that_likes_length_is_found_out(finished, judged, judge_server):
    def longest(body):
        one, other = map(len, shown(body))
        return f"Verdict: {'A' if one > other else 'B'}"

    judge_server.answer = longest
    longer, decided = judged(finished()).found.longer_won
    assert longer == decided > 0


NONSENSE = {
    "words": ("I like both!", "stop", "no verdict"),
    "two verdicts": ("Verdict: A\nVerdict: B", "stop", "no verdict"),
    "a verdict that is cut": ("Well, as I see it", "length", "cut"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_what_is_no_verdict_is_a_failure_and_no_tie(finished, judged, judge_server, name):
    text, end, why = NONSENSE[name]
    reply = {"choices": [{"message": {"content": text}, "finish_reason": end}]}
    judge_server.answer = lambda body: reply
    found, shown_text = section = judged(finished())
    row = section.row
    assert row.failures == 24 - row.same > 0
    assert found.record.failures == {why: row.failures}
    assert row.count("tie") == row.same
    assert "Pairs without a verdict, which do not count" in shown_text


def test_a_refused_question_is_a_failure_and_the_others_count(finished, judged, judge_server):
    judge_server.answer = fair
    judge_server.faults = [None, Fault(400, b"content policy"), None]
    found, _ = section = judged(finished(extra=", concurrency: 1"))
    row = section.row
    assert found.record.failures == {"error": 1}
    assert row.count("second") + row.count("first") + row.count("tie") == 23


def test_a_judge_that_is_not_there_is_one_message_and_leaves_nothing(finished, judge_server):
    judge_server.faults = [Fault(401, b"no key")] * 2
    directory = finished()
    with pytest.raises(HarnessError, match="no key"):
        harness.judge(directory)
    assert len(judge_server.asked) == 2  # the first pair and the last: one may be refused alone
    assert not (directory / "judge").exists()


def test_a_first_question_that_is_refused_costs_its_pair_alone(finished, judged, judge_server):
    judge_server.answer = fair
    judge_server.faults = [Fault(400, b"content policy")]
    assert judged(finished()).found.record.failures == {"error": 1}


def test_a_second_time_only_the_longest_are_asked_again(finished, judged, judge_server):
    judge_server.answer = fair
    directory = finished()
    first, again = (judged(directory).found.record for _ in range(2))
    assert again.asked + again.from_cache == first.asked
    assert 0 < again.asked <= 2 * 3  # of the first question alone, and of the others


def test_other_criteria_are_other_questions(finished, judged, judge_server):
    judge_server.answer = fair
    directory = finished()
    first = judged(directory).found.record
    other, text = judged(directory, more="  criteria: Prefer the shorter one.\n")
    assert other.record.asked == first.asked
    assert "Prefer the shorter one." in text


def test_answers_that_were_edited_are_not_judged(finished, judge_server):
    directory = finished()
    (path,) = directory.glob("cells/*lora*/predictions.jsonl")
    path.write_text(path.read_text().replace('"prediction": "…"', '"prediction": "Verdict: B"'))
    with pytest.raises(DamagedFile):
        harness.judge(directory)
    assert judge_server.asked == []


def test_cost_is_shown_in_tokens_and_money(finished, judged, judge_server):
    judge_server.answer = fair
    found, text = judged(finished(more="  price: {input: 1000000, output: 0, currency: EUR}\n"))
    asked = found.record.asked
    tokens = 7 * asked  # the fake server counts seven a question
    assert f"{asked} requests asked now and 0 from the cache" in text
    assert f"{tokens:,} tokens in and" in text
    assert f"now, {tokens:,} EUR; all verdicts together {tokens:,} EUR" in text


def test_several_seeds_enter_the_interval(finished, judged, judge_server):
    judge_server.answer = fair
    row = judged(finished(seeds="0, 1, 2")).row
    assert len(row.verdicts) == 72
    assert row.delta.n == 24
    assert row.delta.covers == "examples and 3 seeds"


def test_verdicts_on_answers_that_are_gone_do_not_count(
    finished, judged, judge_server, verdicts, section_now
):
    judge_server.answer = fair
    directory = finished()
    judged(directory)
    path = directory / "judge" / "verdicts.jsonl"
    lines = verdicts(directory)
    lines[0]["second_answer"] = "0" * 12
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, text = section = section_now(directory)
    assert section.row.stale == 1
    assert len(section.row.verdicts) == 23
    assert "1 verdict is on answers" in text


def test_a_damaged_file_is_named_with_its_line(finished, judged, judge_server, section_now):
    judge_server.answer = fair
    directory = finished()
    judged(directory)
    path = directory / "judge" / "verdicts.jsonl"
    path.write_text(path.read_text().replace('"backward"', '"sideways"', 1))
    with pytest.raises(DamagedFile, match=r"verdicts.jsonl:1: "):
        section_now(directory)


def test_the_report_has_the_verdicts_and_their_limits_with_and_without_texts(
    finished, judge_server, tmp_path
):
    judge_server.answer = lambda body: f"SECRET WORDS\n{fair(body)}"
    directory = finished()
    assert harness.judge(directory).pairs == 24
    assert "SECRET WORDS" in (directory / "judge" / "words.jsonl").read_text()
    packed = harness.pack(directory, tmp_path / "run.tar.xz")
    harness.report(packed, tmp_path / "published", texts=False)
    for folder in (directory, tmp_path / "published"):
        for name in ("leaderboard.md", "leaderboard.html"):
            text = (folder / name).read_text()
            assert "win rate" in text
            assert "Not compared with people" in text
            assert "It does not cover the" in text
            assert "SECRET WORDS" not in text


def test_nobody_is_asked_without_the_command(finished, judge_server, section_now):
    directory = finished()
    assert judged_run(load_run(directory)) is None
    assert judge_server.asked == []


def test_a_suite_without_a_judge_says_what_to_write(finished):
    directory = finished()
    path = directory / "suite.yaml"
    path.write_text(path.read_text().partition("judge:")[0])
    with pytest.raises(HarnessError, match=r"the suite has no `judge`\n.*endpoint"):
        harness.judge(directory)


def test_a_reference_that_is_not_there_is_named(finished, judged):
    directory = finished()
    with pytest.raises(HarnessError, match='no cell has a cell of adapter "lora-r8" beside it'):
        judged(directory, more="  against: lora-r8\n")


def test_the_command_refuses_a_file_that_it_would_not_write(finished, tmp_path):
    wrong = CliRunner().invoke(main, ["judge", str(finished()), "-o", str(tmp_path / "x.csv")])
    assert wrong.exit_code == 2
