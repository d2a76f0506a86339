"""Answers are asked for once, by many at a time, and believed while the server is the same."""

import subprocess
import sys

import pytest
from model_server import Fault, model_server, question_of

from harness.endpoint.answer_cache import AnswerCache, default_path, key_of
from harness.endpoint.asking import CHECKED, HOPELESS, Asker, Question
from harness.endpoint.chat import Reply
from harness.errors import HarnessError
from harness.suite.endpoint import Endpoint

WORDS = [f"What is {k} times {k}?" + " Please." * k for k in range(8)]


def questions(words=WORDS, **settings):
    return [
        Question("chat/completions", {"messages": [{"role": "user", "content": w}], **settings})
        for w in words
    ]


@pytest.fixture
def server():
    with model_server() as served:
        yield served


@pytest.fixture
def asker(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_NO_ANSWER_CACHE", raising=False)

    def make(**settings):
        return Asker(Endpoint(base_url=server.base_url, model="m", max_retries=0, **settings))

    return make


def test_answers_come_in_the_order_of_the_questions(asker, server):
    replies = asker().ask(questions(), concurrency=4)
    assert [reply.text for reply in replies] == [f"I was asked: {w}" for w in WORDS]
    assert 1 <= server.most_at_once <= 4


def test_what_was_asked_is_not_asked_again_but_for_the_longest(asker, server):
    first = asker().ask(questions(), concurrency=4)
    asked = len(server.asked)
    again = asker()
    assert again.ask(questions(), concurrency=4) == first
    extra = server.asked[asked:]
    assert sorted(map(question_of, extra)) == sorted(WORDS[-CHECKED:])
    assert (again.tally.asked, again.tally.cached) == (CHECKED, len(WORDS) - CHECKED)
    assert again.tally.notes == []


def test_a_cache_does_not_know_the_address(asker, server, tmp_path):
    asker().ask(questions(), concurrency=2)
    with model_server() as moved:
        endpoint = Endpoint(base_url=moved.base_url, model="m")
        there = Asker(endpoint)
        there.ask(questions(), concurrency=2)
        assert len(moved.asked) == CHECKED
        assert there.tally.cached == len(WORDS) - CHECKED


CHANGES = {
    "fingerprint": 'the server was "weights-a fp_1" and is "weights-a fp_2"',
    "model": 'the server was "weights-a fp_1" and is "weights-b fp_1"',
    "answers": "answers a question otherwise than it did, under the same name",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_server_that_changed_is_asked_everything_again(asker, server, what):
    asker().ask(questions(), concurrency=4)
    if what == "fingerprint":
        server.fingerprint = "fp_2"
    elif what == "model":
        server.model = "weights-b"
    else:
        server.answer = lambda body: f"You asked: {question_of(body)}"
    asked = len(server.asked)
    again = asker()
    replies = again.ask(questions(), concurrency=4)
    assert len(server.asked) - asked == len(WORDS)
    assert again.tally.cached == 0
    (note,) = again.tally.notes
    assert note.startswith(f"{len(WORDS)} answers in the cache were not used: ")
    assert CHANGES[what] in note
    # the new answers have taken the place of the old ones
    third = asker()
    assert third.ask(questions(), concurrency=4) == replies
    assert third.tally.cached == len(WORDS) - CHECKED


def test_only_the_answers_of_the_server_of_now_are_believed(asker, server):
    asker().ask(questions(WORDS[:4]), concurrency=1)
    server.fingerprint = "fp_2"
    asker().ask(questions(WORDS[4:]), concurrency=1)
    again = asker()
    again.ask(questions(), concurrency=1)  # the longest answers are those of fp_2, and equal
    assert again.tally.servers == {("weights-a", "fp_2"): len(WORDS)}
    assert again.tally.cached == 1
    assert "another name or fingerprint" in again.tally.notes[0]


SETTINGS = {"settings": {"temperature": 0.5}, "limit": {"max_tokens": 3}}


@pytest.mark.parametrize("what", SETTINGS)
def test_other_settings_are_another_question(asker, server, what):
    asker().ask(questions(), concurrency=4)
    asker().ask(questions(**SETTINGS[what]), concurrency=4)
    assert len(server.asked) == 2 * len(WORDS)


def test_repetitions_are_kept_apart(asker, server):
    for _ in range(2):
        asker().ask(questions(), concurrency=4, repeat="half")
    asker().ask(questions(), concurrency=4)
    assert len(server.asked) == 2 * len(WORDS) + CHECKED


def test_the_cache_can_be_switched_off(asker, server, monkeypatch):
    for settings in ({"cache": False}, {"cache": False}):
        asker(**settings).ask(questions(), concurrency=4)
    monkeypatch.setenv("HARNESS_NO_ANSWER_CACHE", "1")
    asker().ask(questions(), concurrency=4)
    asker().ask(questions(), concurrency=4, keep=False)
    assert len(server.asked) == 4 * len(WORDS)
    assert not default_path().exists()


def test_what_was_answered_before_a_failure_is_kept(asker, server):
    server.faults = [None, None, Fault(400, b"no")]
    with pytest.raises(HarnessError, match="refuses the request"):
        asker().ask(questions(), concurrency=1)
    again = asker()
    again.ask(questions(WORDS[:3]), concurrency=1)
    assert again.tally.asked == 3  # two that are asked again to make sure, and the one that failed


def test_a_server_that_went_away_is_not_waited_for_a_thousand_times(asker, server):
    server.faults = [None, *[Fault(400, b"gone")] * 1000]
    with pytest.raises(HarnessError, match="gone"):
        asker().ask_each(questions([f"Question {k}" for k in range(500)]), concurrency=4)
    assert len(server.asked) < 1 + HOPELESS + 8


def test_a_question_without_an_answer_is_an_error_in_its_place(asker, server):
    server.faults = [None, Fault(400, b"no"), None]
    replies = asker().ask_each(questions(), concurrency=1)
    assert [isinstance(reply, HarnessError) for reply in replies] == [k == 1 for k in range(8)]


def test_a_cache_that_cannot_be_used_costs_its_answers_alone(asker, server):
    path = default_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 100)
    one = asker()
    assert len(one.ask(questions(), concurrency=2)) == len(WORDS)
    (note,) = one.tally.notes
    assert "cannot be used" in note
    assert "delete the file" in note


def test_the_cache_is_for_you_alone(asker):
    asker().ask(questions(WORDS[:1]), concurrency=1)
    assert default_path().stat().st_mode & 0o077 == 0
    assert default_path().parent.stat().st_mode & 0o077 == 0


WRITER = """\
import sys
from pathlib import Path
from harness.endpoint.answer_cache import AnswerCache
from harness.endpoint.chat import Reply
cache = AnswerCache(Path(sys.argv[1]))
for k in range(100):
    cache.put(f"{sys.argv[2]}-{k}", Reply(text=f"{k}", finish_reason="stop"))
assert cache.problem is None, cache.problem
"""


def test_processes_share_a_cache(tmp_path):
    path = tmp_path / "answers.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(240) for writer in writers] == [0, 0]
    cache = AnswerCache(path)
    found = [cache.get(f"{name}-{k}") for name in "ab" for k in range(100)]
    assert found == [Reply(text=f"{k}", finish_reason="stop") for _ in "ab" for k in range(100)]


def test_a_key_holds_everything_that_was_asked():
    body = {"messages": [], "temperature": 0}
    keys = {
        key_of("m", "completions", body),
        key_of("n", "completions", body),
        key_of("m", "chat/completions", body),
        key_of("m", "completions", {**body, "temperature": 1}),
        key_of("m", "completions", body, repeat="half"),
    }
    assert len(keys) == 5
    assert key_of("m", "completions", dict(reversed(body.items()))) in keys
