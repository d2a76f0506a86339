"""The prompt of every style, with the system message and earlier turns of a row."""

from datetime import date

import pytest
from pydantic import ValidationError

from harness.backends.prompting import Message, messages, render
from harness.datasets.example import Example, Turn
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

TURNS = (Turn("user", "4 / 2?"), Turn("assistant", "2"))
TEMPLATE = (
    "{% for turn in history %}{{ turn.role }}: {{ turn.content }}\n{% endfor %}> {{ prompt }}"
)


def card(prompt=None, **fields):
    return ModelCard(name="small", source="nowhere", prompt=prompt, **fields)


def example(**fields):
    return Example("1", "6 / 2?", "3", **fields)


STYLES = {
    "question-answer": "### Question: 6 / 2?\n\n### Answer:",
    "alpaca": "Below is an instruction that describes a task. Write a response that appropriately"
    " completes the request.\n\n### Instruction:\n6 / 2?\n\n### Response:",
    "plain": "6 / 2?\n",
}


@pytest.mark.parametrize("style", STYLES)
def test_a_system_message_is_the_first_paragraph(style):
    assert render(card(style), example()) == STYLES[style]
    expected = f"Be brief.\n\n{STYLES[style]}"
    assert render(card(style, system="Be brief."), example()) == expected
    assert render(card(style, system="No."), example(system="Be brief.")) == expected
    assert render(card(style, system="No."), example(system="")) == STYLES[style]


@pytest.mark.parametrize("style", STYLES)
def test_a_style_of_one_turn_refuses_earlier_ones(style):
    with pytest.raises(HarnessError, match="leaves out earlier turns") as refused:
        render(card(style), example(history=TURNS))
    assert "history" in refused.value.hint


def test_a_template_of_one_s_own_may_show_earlier_turns():
    own = card("template", template=TEMPLATE)
    assert render(own, example(history=TURNS)) == "user: 4 / 2?\nassistant: 2\n> 6 / 2?"
    with pytest.raises(HarnessError, match="leaves out a system message"):
        render(own, example(system="Be brief."))


def test_messages_are_system_earlier_turns_and_the_question():
    found = messages(card(system="No."), example(system="Be brief.", history=TURNS, context="Now."))
    assert found == [
        Message("system", "Be brief."),
        Message("user", "4 / 2?"),
        Message("assistant", "2"),
        Message("user", "6 / 2?\n\nNow."),
    ]
    assert messages(card(), example()) == [Message("user", "6 / 2?")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"template_kwargs": {"tokenize": True}}, "set by the harness"),
        ({"template_kwargs": {"x": 1}, "prompt": "plain"}, "no effect under `prompt: plain`"),
        ({"template_date": "soon"}, "date"),
    ],
)
def test_a_card_refuses_template_settings_without_effect(fields, said):
    with pytest.raises(ValidationError, match=said):
        card(**fields)


def test_the_suite_s_template_settings_reach_the_card(write_suite):
    from harness.plan.cell import cell_of_record, cell_record
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    path = write_suite()
    (first, *_) = expand(load_suite(path), path)
    assert first.model.template_date == date(2025, 1, 1)
    text = path.read_text() + "template_kwargs: {style: dry}\ntemplate_date: 2024-05-06\n"
    path.write_text(text)
    (cell, *_) = expand(load_suite(path), path)
    assert cell.model.template_kwargs == {"style": "dry"}
    assert cell.model.template_date == date(2024, 5, 6)
    assert cell_of_record(cell_record(cell)) == cell
