"""Rows and prompts are the chat template's own, token by token, for the templates that TRL ships
and for small ones of our own that stand for the main families of turn formats."""

import re
from datetime import date

import pytest
from chat_templates import FAMILIES, PLAIN, SHIPPED, A, tokenizer_with, turns

from harness.backends.hf.chat_template import chat_template
from harness.backends.hf.encoding import Encoder
from harness.datasets.example import Example, Turn
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

DAY = date(2024, 2, 3)

PARTS = ("idefics3", "smolvlm", "llava_next")
"""Templates that read content as a list of parts alone."""
NO_SYSTEM = ("gemma.", "gemma_")
"""Templates that refuse a system message."""
REOPENS = ("deepseek", "nemotron")
"""Templates whose prompt opens a think block that the whole chat renders otherwise."""
NO_END = ("glm4moe.",)
"""Templates that end an assistant's turn with nothing."""

CHAT = Example(
    "2", "And a share?", "A part of a company.", context="In one line.", system="Answer briefly.",
    history=(Turn("user", "What is a bond?"), Turn("assistant", "A loan.")),
)  # fmt: skip


def card(**fields):
    return ModelCard(name="small", source="nowhere", prompt="chat", template_date=DAY, **fields)


def content(text, parts):
    return [{"type": "text", "text": text}] if parts else text


def plain_messages(example, *, parts=False, system=True):
    """The messages as a person would write them for `apply_chat_template`."""
    user = f"{example.prompt}\n\n{example.context}" if example.context else example.prompt
    turns = [(turn.role, turn.content) for turn in example.history] + [("user", user)]
    if example.system and system:
        turns = [("system", example.system), *turns]
    elif example.system:
        turns[0] = ("user", f"{example.system}\n\n{turns[0][1]}")
    return [{"role": role, "content": content(text, parts)} for role, text in turns]


def rendered_ids(tokenizer, messages, **options):
    return tokenizer.apply_chat_template(messages, **options)["input_ids"]


def clockless(text):
    """The template with its clock replaced by the date in every format that templates use."""
    return re.sub(
        r"strftime_now\((['\"])(.+?)\1\)", lambda found: f'"{DAY.strftime(found[2])}"', text
    )


def matches(path, names):
    return path.name.startswith(names)


NO_THINKING = {"enable_thinking": False}
CASES = [(path, {}) for path in SHIPPED] + [
    (path, NO_THINKING) for path in SHIPPED if "enable_thinking" in path.read_text("utf-8")
]


@pytest.mark.parametrize(
    ("path", "variables"), CASES, ids=[f"{path.stem} {next(iter(v), '')}" for path, v in CASES]
)
def test_rows_are_the_rendering_of_a_shipped_template(path, variables):
    text = path.read_text("utf-8")
    tokenizer = tokenizer_with(text)
    parts, system = matches(path, PARTS), not matches(path, NO_SYSTEM)
    encoder = Encoder(card(template_kwargs=variables), tokenizer)
    for example in (PLAIN, CHAT):
        (row,) = encoder.rows([example])
        messages = plain_messages(example, parts=parts, system=system)
        options = {**variables, "chat_template": clockless(text)}
        prompt = rendered_ids(tokenizer, messages, add_generation_prompt=True, **options)
        answered = {"role": "assistant", "content": content(example.reference, parts)}
        whole = rendered_ids(tokenizer, [*messages, answered], **options)
        assert row.prompt_ids == prompt == encoder.prompts([example])[0]
        assert not row.merged
        ids = row.prompt_ids + row.completion_ids
        if matches(path, REOPENS) and not variables:
            continue  # the next test
        if matches(path, NO_END):
            assert ids == [*whole, encoder.end]
            assert row.notices == {"rows_end_added"}
        else:
            assert ids == whole
            assert row.notices == set()


def test_trl_still_ships_templates():
    assert len(SHIPPED) > 20


@pytest.mark.parametrize(
    "path", [path for path in SHIPPED if matches(path, REOPENS)], ids=lambda path: path.stem
)
def test_a_think_block_that_the_prompt_opens_is_closed_once(path):
    tokenizer = tokenizer_with(path.read_text("utf-8"))
    (row,) = Encoder(card(), tokenizer).rows([PLAIN])
    text = tokenizer.decode(row.prompt_ids[-4:] + row.completion_ids)
    opened, closed, rest = text.partition("</think>")
    assert opened.rstrip().endswith("<think>")
    assert closed
    assert "</think>" not in rest
    assert rest.strip().startswith(PLAIN.reference)
    assert tokenizer.decode(row.answer_ids).lstrip().startswith(PLAIN.reference)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_each_family_of_turn_formats(family):
    tokenizer = tokenizer_with(family.text)
    encoder = Encoder(card(**family.card), tokenizer)
    (row,) = encoder.rows([PLAIN])
    assert tokenizer.decode(row.prompt_ids) == family.prompt
    assert tokenizer.decode(row.completion_ids) == family.completion
    assert encoder.end == row.answer_ids[-1] == tokenizer.convert_tokens_to_ids(family.end)
    assert (chat_template(card(**family.card), tokenizer).end is not None) == family.stops
    assert row.notices == family.notices
    assert tokenizer.decode(row.answer_ids).strip().startswith(A)  # scores leave the lead out


def test_thoughts_of_a_reference_stand_in_the_block_that_the_prompt_opens():
    text = turns(
        "<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}"
        "{% if m.role == 'assistant' %}</s>{% endif %}",
        "<|assistant|><think>\n",
    )
    tokenizer = tokenizer_with(text)
    example = Example("1", "2 + 2?", "<think>\nTwo and two.\n</think>\n\n4")
    (row,) = Encoder(card(), tokenizer).rows([example])
    assert tokenizer.decode(row.completion_ids) == "Two and two.\n</think>\n\n4</s>"


CLOCK = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }} {% endif %}"


def test_a_template_s_clock_stands_still():
    text = "  \n" + CLOCK + FAMILIES["ChatML"].text
    tokenizer = tokenizer_with(text)
    prompt = Encoder(card(), tokenizer).rows([PLAIN])[0].prompt
    expected = tokenizer.apply_chat_template(
        plain_messages(PLAIN), tokenize=False, add_generation_prompt=True,
        chat_template="  \n" + "03 Feb 2024 " + FAMILIES["ChatML"].text,
    )  # fmt: skip
    assert prompt == expected


def test_the_hash_covers_template_variables_and_the_date_that_is_printed():
    def hash_of(text, **fields):
        made = ModelCard(name="small", source="nowhere", prompt="chat", **fields)
        return chat_template(made, tokenizer_with(text)).hash()

    chatml = FAMILIES["ChatML"].text
    thinking = FAMILIES["the same, closed in the prompt"].text
    days = [{"template_date": date(2024, 1, day)} for day in (1, 2)]
    assert hash_of(chatml, **days[0]) == hash_of(chatml, **days[1])
    assert hash_of(CLOCK + chatml, **days[0]) != hash_of(CLOCK + chatml, **days[1])
    assert hash_of(thinking) != hash_of(thinking, template_kwargs={"enable_thinking": False})
    assert hash_of(chatml) != hash_of(thinking)


REFUSED = {
    "no template": (None, {}, "has no chat template.*question-answer"),
    "a template that raises": ("{{ raise_exception('no such chat') }}", {}, "no such chat"),
    "a template with a fault": ("{{ messages[0].content + 1 }}", {}, "chat template raises"),
    "a template that drops the question": ("{{ bos_token }}", {}, "leaves out the text of a turn"),
    "a variable that it does not read": (
        FAMILIES["ChatML"].text, {"template_kwargs": {"enable_thinkin": False}},
        "reads no `enable_thinkin`",
    ),
    "another prompt once it is answered": (
        turns("<|{{ m.role }}|>{{ m.content }}</s>", "<|bot|>: "), {}, "renders a prompt differently",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "fields", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_rendered_is_refused_with_its_reason(text, fields, said):
    tokenizer = tokenizer_with(text or "")
    tokenizer.chat_template = text
    with pytest.raises(HarnessError) as refused:
        Encoder(card(**fields), tokenizer).rows([PLAIN])
    assert 'model "small"' in refused.value.what
    assert re.search(said, f"{refused.value.what} {refused.value.hint}", re.DOTALL)
