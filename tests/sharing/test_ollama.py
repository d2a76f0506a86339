"""A Modelfile writes the prompt that the cell was scored with, or is not written."""

import json
import re

import pytest
from jinja2 import Environment

from harness.backends.prompting import Message
from harness.errors import HarnessError
from harness.sharing.ollama import (
    FORMATS,
    PROBES,
    STYLES,
    chat_prompt,
    decoding,
    modelfile,
    style_prompt,
)
from harness.suite.prompt_styles import TEMPLATES

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
SMOLLM = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\n"
    "You are a helper<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
LLAMA3 = (
    "{% for m in messages %}{% if loop.first %}<bos>{% endif %}<|start_header_id|>{{ m.role }}"
    "<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)


def rendering(text):
    template = Environment(keep_trailing_newline=True).from_string(text)
    return lambda messages: template.render(messages=messages)


def go(text, messages):
    """What Go's text/template makes of ``text``, as far as the Modelfile's templates use it."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    scope = {".System": system, ".Prompt": messages[-1].content, ".Messages": messages}
    tokens = re.findall(r"\{\{ (.*?) \}\}|([^{]+)", text)
    return "".join(_run(_parsed(tokens)[0], scope))


def _parsed(tokens):
    """Nodes up to the action that ends them, and that action."""
    nodes = []
    while tokens:
        action, plain = tokens.pop(0)
        if action == "end" or action.startswith("else"):
            return nodes, action
        if action.startswith("range "):
            nodes.append(("range", action.split()[1], _parsed(tokens)[0]))
        elif action.startswith("if "):
            branches, end = [], action
            while end != "end":
                body, after = _parsed(tokens)
                branches.append((end.removeprefix("else "), body))
                end = after
            nodes.append(("if", branches))
        else:
            nodes.append(("text", plain or action))
    return nodes, "end"


def _run(nodes, scope):
    for kind, *rest in nodes:
        if kind == "range":
            for item in scope[rest[0]]:
                yield from _run(rest[1], {**scope, ".Role": item.role, ".Content": item.content})
        elif kind == "if":
            yield from _run(next((b for test, b in rest[0] if _holds(test, scope)), []), scope)
        elif rest[0].startswith('"'):
            yield json.loads(rest[0])
        else:
            yield scope.get(rest[0], rest[0])


def _holds(action, scope):
    words = action.split()
    return scope[words[2]] == json.loads(words[3]) if words[1] == "eq" else bool(scope[words[1]])


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("messages", PROBES, ids=["one", "system", "more", "system and more"])
def test_the_go_template_writes_what_the_format_does(known, messages):
    assert go(known.go_text(), messages) == known.render(messages)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("system", ["", "Be brief."])
def test_the_go_template_of_a_style_writes_what_the_harness_does(style, system):
    wanted = Environment(keep_trailing_newline=True).from_string(TEMPLATES[style])
    asked = [*([Message("system", system)] if system else []), Message("user", "How much?")]
    written = go(style_prompt(style, system=system).text, asked)
    assert written == wanted.render(system=system, prompt="How much?", context="")


@pytest.mark.parametrize(
    ("text", "bos", "name", "system"),
    [
        (CHATML, "", "ChatML", ""),
        (SMOLLM, "", "ChatML", "You are a helper"),
        (SMOLLM, "<|im_start|>", "ChatML", "You are a helper"),  # SmolLM2 names it, and adds none
        (LLAMA3, "<bos>", "Llama 3", ""),
    ],
)
def test_a_template_is_recognised_by_what_it_renders(text, bos, name, system):
    adds = bos == "<bos>"
    found = chat_prompt(rendering(text), bos, adds_bos=adds, system="")
    assert (found.name, found.system) == (name, system)
    assert chat_prompt(rendering(text), bos, adds_bos=adds, system="mine").system == "mine"


@pytest.mark.parametrize(
    ("text", "adds_bos"),
    [
        (CHATML.replace("<|im_end|>\n", "<|im_end|>"), False),
        (CHATML.replace("{{ m.content }}", "{{ m.content | upper }}"), False),
        (CHATML + "<think>\n", False),
        (SMOLLM.replace("m.role != 'system'", "m.role != 'system' and messages|length < 2"), False),
        (LLAMA3, False),  # the file would write the token twice, or never
        (CHATML, True),
        ("{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}", False),
    ],
)
def test_a_template_that_renders_anything_else_is_refused(text, adds_bos):
    with pytest.raises(HarnessError, match="no Ollama template is known for this model"):
        chat_prompt(rendering(text), "<bos>", adds_bos=adds_bos, system="")


def test_a_card_s_own_template_is_refused():
    with pytest.raises(HarnessError, match="its prompt style is `template`"):
        style_prompt("template", system="")


@pytest.mark.parametrize(
    ("generation", "wanted"),
    [
        ({"do_sample": False}, {"temperature": 0, "repeat_penalty": 1.0}),
        ({"repetition_penalty": 1.2}, {"temperature": 0, "repeat_penalty": 1.2}),
        (
            {"do_sample": True, "temperature": 0.7},
            {"temperature": 0.7, "top_p": 1.0, "top_k": 50, "repeat_penalty": 1.0},
        ),
    ],
)
def test_decoding_is_that_of_the_cell_and_not_ollama_s(generation, wanted):
    assert decoding(generation) == wanted


def test_a_modelfile_has_stops_system_and_context():
    prompt = chat_prompt(rendering(SMOLLM), "", adds_bos=False, system="")
    text = modelfile(prompt, file="m.gguf", stops=["<|im_end|>"], generation={}, longest=100_000)
    assert text.startswith("FROM ./m.gguf\nTEMPLATE ")
    for line in (
        'SYSTEM """You are a helper"""', 'PARAMETER stop "<|im_end|>"', "PARAMETER num_ctx 8192"
    ):  # fmt: skip
        assert line in text.splitlines()
    with pytest.raises(HarnessError, match='holds """'):
        modelfile(
            chat_prompt(rendering(CHATML), "", adds_bos=False, system='a """ b'),
            file="m.gguf", stops=[], generation={}, longest=10,
        )  # fmt: skip
