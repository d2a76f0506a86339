"""Votes are appended, read back as they were given, and a damaged line is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from harness.errors import DamagedFile
from harness.results.votes import Vote, append_vote, read_votes

VOTE = Vote(
    at="2026-01-02T03:04:05+00:00", question="Why save?", example=None, first="a", second="b",
    first_answer="Because.", second_answer="", choice="first", blind=True, left="second",
)  # fmt: skip


def test_nobody_has_voted(tmp_path):
    assert read_votes(tmp_path) == []


@pytest.mark.parametrize("question", ["Зачем копить?", "two\nlines", '"quoted"', "\u2028", "NaN"])
def test_votes_are_read_back_in_order(tmp_path, question):
    votes = [replace(VOTE, question=question), replace(VOTE, choice="both bad", example="e1")]
    for vote in votes:
        append_vote(tmp_path, vote)
    assert read_votes(tmp_path) == votes


def test_two_pages_lose_nothing(tmp_path):
    votes = [replace(VOTE, question=f"{k}" * 2000) for k in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda vote: append_vote(tmp_path, vote), votes))
    assert {vote.question for vote in read_votes(tmp_path)} == {vote.question for vote in votes}


def test_a_vote_after_a_cut_line_is_a_line_of_its_own(tmp_path):
    append_vote(tmp_path, VOTE)
    path = tmp_path / "votes.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    append_vote(tmp_path, VOTE)
    with pytest.raises(DamagedFile, match=r"votes\.jsonl:1: is damaged") as found:
        read_votes(tmp_path)
    assert "delete it" in str(found.value)
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert read_votes(tmp_path) == [VOTE]


@pytest.mark.parametrize(
    ("field", "value"),
    [("choice", "left"), ("blind", "yes"), ("first", None), ("new", 1), ("left", "tie")],
)
def test_a_line_of_another_kind_is_refused(tmp_path, field, value):
    append_vote(tmp_path, VOTE)
    path = tmp_path / "votes.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}) + "\n")
    with pytest.raises(DamagedFile, match=field):
        read_votes(tmp_path)
