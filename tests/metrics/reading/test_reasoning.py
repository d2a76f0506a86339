"""Reasoning is cut off before anything is read, in every way that models mark it."""

import pytest

from harness.metrics.reading.reasoning import split_reasoning, starts_inside

CLOSED = [
    ("<think>It fell.</think>\n\nnegative", "negative"),
    ("<think>\n\n</think>\n\nnegative", "negative"),
    ("<THINK>a</THINK>b", "b"),
    ("It fell.</think>negative", "negative"),
    ("<think>a</think>b<think>c</think>d", "b d"),
    ("<thinking>a</thinking> b", "b"),
    ("<thought>a</thought>b", "b"),
    ("<reasoning>\na\n</reasoning>\n<answer>\nb\n</answer>", "<answer>\nb\n</answer>"),
    ("<seed:think>a</seed:think>b", "b"),
    ("[THINK]a[/THINK]b", "b"),
    ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>", "b"),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b"),
    ("◁think▷a◁/think▷b", "b"),
    ("<|channel>thought\na<channel|>b", "b"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b"),
    (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary"
        "<|message|>c<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b",
    ),
    ("analysisWe must answer.assistantfinalb".replace("finalb", "finalB"), "B"),
    ("<think>no end, but <answer>b</answer>", "<answer>b</answer>"),
    ("b</think>", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), CLOSED)
def test_what_stands_behind_the_reasoning_is_the_answer(text, spoken):
    answer = split_reasoning(text)
    assert (answer.spoken.split(), answer.closed) == (spoken.split(), True)
    assert len(answer.text) == len(text)
    assert 0 < answer.reasoning < len(text)


@pytest.mark.parametrize(
    "text",
    [
        "<think>It may be negative, but", "[THINK]a", "<|channel|>analysis<|message|>negative",
        "<|begin_of_thought|>a", "analysisThe user wants", "<think>", "<think>a</think><think>b",
    ],
)  # fmt: skip
def test_reasoning_that_never_ended_gives_no_answer(text):
    answer = split_reasoning(text)
    assert (answer.spoken, answer.closed) == ("", False)
    assert answer.reasoning


@pytest.mark.parametrize(
    "text",
    [
        "", "positive", "I think it is positive", "Analysis: it fell.\nnegative", "a <b> c",
        "analysis of the text", "analysis: The text", "a < think > b", "Thinking: no",
    ],
)  # fmt: skip
def test_a_text_without_marks_is_its_own_answer(text):
    answer = split_reasoning(text)
    assert (answer.text, answer.spoken, answer.reasoning, answer.closed) == (text, text, 0, True)


def test_the_prompt_may_open_the_reasoning():
    prompt = "<|im_start|>assistant\n<think>\n"
    assert starts_inside(prompt)
    assert not starts_inside(f"{prompt}\n</think>\n\n")
    cut = split_reasoning("It may be negative", prompt)
    assert (cut.spoken, cut.closed) == ("", False)
    done = split_reasoning("It fell.\n</think>\n\nnegative", prompt)
    assert (done.spoken, done.closed) == ("negative", True)
