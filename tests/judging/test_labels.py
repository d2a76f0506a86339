"""People's verdicts: a blind file to fill in, read back, and compared with the judge's."""

import csv
import json
from dataclasses import replace
from typing import NamedTuple

import pytest
from model_server import question_of

import harness
from harness.errors import HarnessError
from harness.judging.labels import labels_of_votes, read_labels, write_sample
from harness.judging.verdicts import cases_of
from harness.results.run import load_run
from harness.results.votes import Vote
from harness.suite.loading import load_suite


def fair(body):
    text = question_of(body)
    return f"Verdict: {'B' if '…' in text.split('<answer-B')[0] else 'A'}"


@pytest.fixture
def sample(finished, judge_server, tmp_path):
    """A run, and its sample as rows to fill in."""
    judge_server.answer = fair
    directory = finished(more=f"  labels: {tmp_path / 'labels.csv'}\n")
    path = tmp_path / "labels.csv"
    count = harness.judge_sample(directory, path, count=6)
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    assert len(rows) == count == 6
    assert judge_server.asked == []
    return directory, path, rows


def filled(path, rows, say):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "verdict": say(row)} for row in rows)


def right(row):
    return "B" if row["answer_A"] == "…" else "A"


@pytest.fixture
def people_of(judged):
    """How far the judge agrees with the labels in a file; and the section of the report."""

    def compare(directory, path):
        run = load_run(directory)
        cases = cases_of(run, load_suite(directory / "suite.yaml").judge)
        return judged(directory, labels=read_labels(path, cases).verdicts)

    return compare


def test_a_sample_is_blind(sample):
    _, path, rows = sample
    assert "lora" not in path.read_text()
    assert {row["answer_A"] == "…" for row in rows} == {True, False}


def test_a_judge_that_says_the_same_as_people_agrees(sample, people_of):
    directory, path, rows = sample
    filled(path, rows, right)
    found, text = people_of(directory, path)
    assert (found.with_people.n, found.with_people.share) == (6, 1.0)
    assert "Agreement with people on 6 labelled pairs: 100.0%" in text


def test_a_judge_that_says_the_contrary_does_not(sample, people_of):
    directory, path, rows = sample
    filled(path, rows, lambda row: "BA"["AB".index(right(row))].lower())
    assert people_of(directory, path).found.with_people.share == 0.0


def test_rows_without_a_verdict_are_left_out(sample, people_of):
    directory, path, rows = sample
    filled(path, rows, lambda row: right(row) if row is rows[0] else "")
    assert people_of(directory, path).found.with_people.n == 1


def test_labels_in_json_lines_are_read_too(sample, people_of):
    directory, path, rows = sample
    lines = [json.dumps({"pair": row["pair"], "verdict": "tie"}) for row in rows]
    other = path.with_suffix(".jsonl")
    other.write_text("\n".join(lines))
    assert people_of(directory, other).found.with_people.n == 6


def test_labels_on_answers_that_are_gone_are_counted(sample):
    directory, path, rows = sample
    filled(path, [{**row, "pair": "0" * 12} for row in rows], right)
    done = harness.judge(directory)
    assert done.unknown_labels == 6


BROKEN = {
    "a word": ("pair,verdict\n1,maybe\n", 'labels.csv:2: verdict "maybe": expected A, B or tie'),
    "no column": ("id,verdict\n1,A\n", "labels.csv:1: no column pair"),
    "nothing": ("", "labels.csv:1: no column pair or verdict"),
    "bytes": (b"\xff\xfe\x00", "labels.csv: cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_said_before_anything_is_paid_for(sample, judge_server, name):
    directory, path, _ = sample
    content, text = BROKEN[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HarnessError, match=text):
        harness.judge(directory)
    assert judge_server.asked == []


def test_a_missing_file_says_how_to_get_one(sample):
    directory, path, _ = sample
    path.unlink()
    with pytest.raises(HarnessError, match=r"no such file of labels\n.*--sample"):
        harness.judge(directory)


def test_a_file_that_people_may_have_filled_in_is_kept(sample):
    directory, path, rows = sample
    filled(path, rows, right)
    before = path.read_text()
    with pytest.raises(HarnessError, match=r"labels\.csv: exists and is kept"):
        harness.judge_sample(directory, path, count=6)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("\t=1+1", "'\t=1+1"), ("\uff1d1+1", "'\uff1d1+1"), ("1+1", "1+1"),
        ("\x1b[31mred", "\\u001b[31mred"), ("half \ud83d", "half \\ud83d"), ("a\r\nb", "a\nb"),
    ],
)  # fmt: skip
def test_a_spreadsheet_computes_nothing_and_a_terminal_obeys_nothing(sample, tmp_path, text, shown):
    directory, _, _ = sample
    case, *_ = cases_of(load_run(directory), load_suite(directory / "suite.yaml").judge)
    path = tmp_path / "again.csv"
    asked = replace(case, pair=case.pair._replace(question=text, first=text, second=text))
    asked = replace(asked, blank=replace(case.blank, second_answer="another"))
    assert write_sample(path, [asked], 1) == 1
    (row,) = csv.DictReader(path.open(encoding="utf-8", newline=""))
    assert [row["question"], row["answer_A"], row["answer_B"]] == [shown] * 3


def vote(first, second, asked, choice, **changes):
    """A vote of `harness demo` on the answers of two cells."""
    record = {
        "at": "2026-01-01T00:00:00Z", "question": "?", "example": asked, "first": first.key,
        "second": second.key, "first_answer": first.answers[asked],
        "second_answer": second.answers[asked], "choice": choice, "blind": True, "left": "first",
    }  # fmt: skip
    return Vote(**{**record, **changes})


class Side(NamedTuple):
    key: str
    answers: dict


VOTES = {
    "a vote": ({}, 1.0),
    "a vote the other way round": ({"swapped": True}, 1.0),
    "names in sight": ({"blind": False}, None),
    "a question of one's own": ({"example": None}, None),
    "another answer": ({"second_answer": "another"}, None),
}


@pytest.mark.parametrize("name", VOTES)
def test_blind_votes_on_the_same_answers_are_labels(sample, judged, name):
    directory, _, _ = sample
    run = load_run(directory)
    base, tuned = (
        Side(cell.key, {r["id"]: r["prediction"] for r in run.predictions(cell)})
        for cell in run.cells
    )
    changes, share = VOTES[name]
    better = next(i for i, a in base.answers.items() if a == "…" != tuned.answers[i])
    if changes.get("swapped"):
        votes = [vote(tuned, base, better, "first")]
    else:
        votes = [vote(base, tuned, better, "second", **changes)]
    cases = cases_of(run, load_suite(directory / "suite.yaml").judge)
    people = judged(directory, labels=labels_of_votes(votes, cases)).found.with_people
    assert (people and people.share) == share
