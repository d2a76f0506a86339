"""A streamed answer grows, and ends as the very answer that `decode` gives."""

import threading
from itertools import zip_longest
from pathlib import Path

import pytest

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.decoding.streaming import stream
from harness.backends.hf.decoding.ways import ByEngine, way_of
from harness.backends.hf.models.loading import load_model, load_tokenizer
from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.suite.loading import load_suite

ROOT = Path(__file__).parents[4]
GREEDY = {"max_new_tokens": 24}
SAMPLED = {"max_new_tokens": 16, "do_sample": True, "temperature": 1.5}
QUESTIONS = ["The firm paid a dividend of", "Почему облигация дешевеет?", "1 2 3 4"]


@pytest.fixture(scope="module")
def loaded():
    path = ROOT / "suites" / "finance.yaml"
    cell = expand(load_suite(path), path)[0]
    tokenizer = load_tokenizer(cell.model)
    return load_model(cell, tokenizer), tokenizer


def ids_of(loaded, text):
    return loaded[1](text).input_ids


@pytest.mark.parametrize(
    ("options", "by_engine"),
    [
        (GREEDY, True),
        ({"max_new_tokens": 1}, True),
        ({"max_new_tokens": 12, "min_new_tokens": 12}, True),
        ({"max_new_tokens": 16, "repetition_penalty": 1.3}, False),
        ({"max_new_tokens": 24, "stop_strings": ["e", "о"]}, False),
        ({"max_new_tokens": 8, "num_beams": 2}, False),
        (SAMPLED, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_last_piece_is_the_answer_of_a_batch_of_one(loaded, options, by_engine, question):
    prompt = ids_of(loaded, question)
    assert isinstance(way_of(*loaded, options, [prompt]), ByEngine) is by_engine
    (wanted,) = decode(*loaded, [prompt], options=options, batch_size=1, seed=3).answers
    pieces = list(stream(*loaded, prompt, options=options, seed=3))
    last = pieces.pop()
    assert (last.text, last.new_tokens) == (wanted.text, wanted.new_tokens)
    assert last.finish_reason == wanted.finish_reason
    assert {piece.finish_reason for piece in pieces} == {None}
    if options.get("num_beams"):
        return  # beams may take back what they have shown: one piece
    counts = [piece.new_tokens for piece in pieces]
    assert counts == list(range(1, len(counts) + 1))
    assert not any("\ufffd" in piece.text[-1:] for piece in pieces)


def test_two_answers_in_turns_do_not_change_each_other(loaded):
    prompts = [ids_of(loaded, question) for question in QUESTIONS[:2]]
    alone = [list(stream(*loaded, prompt, options=SAMPLED, seed=5)) for prompt in prompts]
    turns = zip_longest(*(stream(*loaded, prompt, options=SAMPLED, seed=5) for prompt in prompts))
    together = [[piece for piece in side if piece] for side in zip(*turns, strict=True)]
    assert together == alone
    assert alone[0][-1].text != list(stream(*loaded, prompts[0], options=SAMPLED, seed=6))[-1].text


@pytest.mark.parametrize("options", [GREEDY, SAMPLED])
def test_an_answer_that_nobody_waits_for_ends_at_once(loaded, options):
    before = threading.active_count()
    pieces = stream(*loaded, ids_of(loaded, QUESTIONS[0]), options=options)
    next(pieces)
    pieces.close()
    assert threading.active_count() == before


def test_a_failure_while_decoding_reaches_the_one_who_asks(loaded):
    options = {"max_new_tokens": 4, "stop_strings": [3]}
    with pytest.raises(Exception, match="int"):
        list(stream(*loaded, ids_of(loaded, QUESTIONS[0]), options=options))


def test_a_question_that_does_not_fit_the_context_is_refused(loaded):
    with pytest.raises(HarnessError, match="the question with its answer"):
        next(stream(*loaded, [5] * 100_000, options=GREEDY))
