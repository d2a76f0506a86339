"""Chats in every shape come out as the same example, or are refused."""

import json

import pytest

from harness.datasets.example import Turn
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry

SYSTEM = {"role": "system", "content": "Be brief."}
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def asked(k):
    return {"role": "user", "content": f"What costs item number {k}, the {chr(97 + k)} one?"}


def answer(k):
    return {"role": "assistant", "content": f"{k} euros"}


def chat(k):
    return [SYSTEM, *HELLO, asked(k), answer(k)]


def sharegpt(k):
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    return [{"from": names[m["role"]], "value": m["content"]} for m in chat(k)]


def parts(k):
    return [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in chat(k)]


def load(tmp_path, make, name="t.jsonl", **options):
    rows = [make(k) for k in range(8)]
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = DatasetEntry(name="t", source=name, train=6, test=2, **options)
    return load_splits(entry, tmp_path)


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (lambda k: {"messages": chat(k)}, {}),
        (lambda k: {"messages": parts(k)}, {}),
        (lambda k: {"messages": json.dumps(chat(k))}, {}),
        (lambda k: {"messages": [{**m, "name": "x", "weight": 1, "tool_calls": None} for m in chat(k)]}, {}),
        (lambda k: {"messages": chat(k), "prompt": "of the page", "tools": []}, {}),
        (lambda k: {"messages": [{**SYSTEM, "role": "developer"}, *chat(k)[1:]]}, {}),
        (lambda k: {"conversations": sharegpt(k)}, {}),
        (lambda k: {"conversations": sharegpt(k)[1:], "system": "Be brief."}, {}),
        (lambda k: {"conversations": chat(k), "id": k}, {}),
        (lambda k: {"dialogue": chat(k)}, {"messages": "dialogue"}),
        (lambda k: {"row": {"chat": chat(k)}}, {"messages": "row.chat"}),
        (lambda k: {"prompt": chat(k)[:-1], "completion": chat(k)[-1:]}, {}),
        (lambda k: {"prompt": chat(k)[:-1], "completion": answer(k)["content"]}, {}),
        (lambda k: {"q": chat(k)[:-1], "good": [answer(k)]}, {"prompt": "q", "reference": "good"}),
        (lambda k: {"instruction": asked(k)["content"], "output": answer(k)["content"], "system": "Be brief.", "history": [["Hi", "Hello"]]}, {}),
    ],
)  # fmt: skip
def test_a_chat_is_its_last_turns_with_the_earlier_ones_as_history(tmp_path, make, columns):
    found = load(tmp_path, make, columns=columns)
    examples = sorted((*found.train, *found.test), key=lambda e: e.prompt)
    assert [e.prompt for e in examples] == [asked(k)["content"] for k in range(8)]
    assert [e.reference for e in examples] == [answer(k)["content"] for k in range(8)]
    assert {e.system for e in examples} == {"Be brief."}
    assert {e.history for e in examples} == {(Turn("user", "Hi"), Turn("assistant", "Hello"))}


def test_prompt_and_completion_may_be_texts(tmp_path):
    found = load(tmp_path, lambda k: {"prompt": f"Question {k}?", "completion": f"Yes {k}"})
    assert {e.history for e in found.train} == {()}
    assert found.notes == ("read as prompt and completion",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k: {"messages": [asked(k)]}, "t.jsonl:1: the chat does not end with an assistant"),
        (lambda k: {"messages": [*chat(k), asked(k)]}, "does not end with an assistant turn"),
        (lambda k: {"messages": [answer(k)]}, "no user turn before the final answer"),
        (lambda k: {"messages": [asked(k), answer(k), answer(k)]}, "no user turn before the final"),
        (lambda k: {"messages": [asked(k), SYSTEM, answer(k)]}, "system message in the middle"),
        (lambda k: {"messages": [asked(k), {**answer(k), "weight": 0}]}, "has weight 0"),
        (lambda k: {"messages": [asked(k), {**answer(k), "role": "tool"}]}, 'message 2 is by "tool"'),
        (lambda k: {"messages": [asked(k), {**answer(k), "tool_calls": [{}]}]}, "has `tool_calls`"),
        (lambda k: {"messages": [asked(k), {**answer(k), "reasoning_content": "so"}]}, "`reasoning_content`"),
        (lambda k: {"messages": [{**asked(k), "content": [{"type": "image", "url": "x"}]}, answer(k)]}, "message 1 has a part of type image"),
        (lambda k: {"messages": [{**asked(k), "content": {"a": 1}}, answer(k)]}, "message 1 holds an object"),
        (lambda k: {"messages": [asked(k), {**answer(k), "content": "\ud800"}]}, "message 2 holds a broken character"),
        (lambda k: {"messages": [{**asked(k), "content": [{"text": "a\udfff"}]}, answer(k)]}, "message 1 holds a broken"),
        (lambda k: {"messages": [{**HELLO[0], "content": None}, HELLO[1], asked(k), answer(k)]}, "turn 1 of the chat is empty"),
        (lambda k: {"messages": chat(k), "tools": [{"name": "search"}]}, "has `tools`"),
        (lambda k: {"messages": chat(k), "system": "Be long."}, "two system messages"),
        (lambda k: {"messages": "Hi there"}, "text, where messages are expected"),
        (lambda k: {"messages": None}, "not a list of messages"),
        (lambda k: {"messages": [["user", "Hi"]]}, "not a list of messages"),
        (lambda k: {"messages": chat(k), "instruction": "x", "output": "y"}, "read as instruction and output or as messages"),
        (lambda k: {"instruction": "x", "output": "y", "history": ["z"]}, "`history` is not a list of pairs"),
        (lambda k: {"instruction": ["x", "y"], "output": "z"}, 'column "instruction" holds a list'),
        (lambda k: {"instruction": {"x": 1}, "output": "z"}, 'column "instruction" holds an object'),
        (lambda k: {"instruction": "x", "output": {"value": "z"}}, "output.value"),
        (lambda k: {"instruction": "x", "output": [["z"]]}, 'column "output" holds a list'),
    ],
)  # fmt: skip
def test_what_would_vanish_is_refused_with_its_row(tmp_path, make, message):
    with pytest.raises(HarnessError, match=message):
        load(tmp_path, make)


def test_many_bad_rows_are_named_once_and_counted(tmp_path):
    with pytest.raises(HarnessError) as caught:
        load(tmp_path, lambda k: {"messages": [asked(k)]})
    text = str(caught.value)
    assert text.count("does not end with") == 3
    assert "and 5 more rows" in text
    assert text.count("cut the chat") == 1


def test_a_head_that_reads_the_bare_text_refuses_earlier_turns(tmp_path):
    def make(k):
        return {"messages": [*HELLO, asked(k), {"role": "assistant", "content": "ab"[k % 2]}]}

    with pytest.raises(HarnessError, match="classify_by: likelihood"):
        load(tmp_path, make, labels=("a", "b"))
    found = load(tmp_path, make, labels=("a", "b"), classify_by="likelihood", split_seed=1)
    assert {e.reference for e in found.train} == {"a", "b"}


def test_messages_hold_the_whole_chat():
    with pytest.raises(ValueError, match="delete prompt"):
        DatasetEntry(name="t", source="t.jsonl", columns={"messages": "m", "prompt": "p"})
