"""How each shipped model card renders a question and its answer.

Chat templates come from the installed TRL. Where it ships none for a model, a template that
reproduces the markers alone stands in.
"""

from typing import NamedTuple

import pytest
from chat_templates import FAMILIES, PLAIN, ROOT, SHIPPED, A, Q, tokenizer_with

from harness.backends.hf.encoding import Encoder
from harness.backends.prompting import render
from harness.suite.model_card import load_model_card

CARDS = {path.stem: path for path in sorted((ROOT / "models").glob("*.yaml"))}
TEMPLATES = {path.stem: path for path in SHIPPED}


class Chat(NamedTuple):
    """What a chat card renders: how the prompt ends, and the whole completion."""

    template: str
    """A template of TRL, or of `FAMILIES`."""
    prompt: str
    completion: str


CHATML = (f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n", f"{A}<|im_end|>\n")
SMOLLM2 = Chat("ChatML", *CHATML)
QWEN2 = Chat("qwen2_5", *CHATML)
QWEN3 = Chat("qwen3", f"{CHATML[0]}<think>\n\n</think>\n\n", CHATML[1])
LLAMA3 = Chat(
    "llama3_2",
    f"<|start_header_id|>user<|end_header_id|>\n\n{Q}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    f"{A}<|eot_id|>",
)
CHATS = {
    "smollm2-135m-instruct": SMOLLM2,
    "smollm2-360m-instruct": SMOLLM2,
    "smollm2-1.7b-instruct": SMOLLM2,
    "qwen2-0.5b-instruct": QWEN2,
    "qwen2.5-0.5b-instruct": QWEN2,
    "qwen2.5-1.5b-instruct": QWEN2,
    "qwen3-0.6b": QWEN3,
    "qwen3-1.7b": QWEN3,
    "llama-3.2-1b-instruct": LLAMA3,
    "llama-3.2-3b-instruct": LLAMA3,
    "gemma-3-1b-it": Chat(
        "gemma3", f"<start_of_turn>user\n{Q}<end_of_turn>\n<start_of_turn>model\n",
        f"{A}<end_of_turn>\n",
    ),
    "phi-3.5-mini-instruct": Chat(
        "phi3_5", f"<|user|>\n{Q}<|end|>\n<|assistant|>\n", f"{A}<|end|>\n</s>"
    ),
    "mistral-7b-instruct-v0.3": Chat("instruction brackets", f"<s>[INST] {Q} [/INST]", f" {A}</s>"),
    "tiny-llama": SMOLLM2,
    "tiny-qwen2": SMOLLM2,
}  # fmt: skip
PLAINS = {
    "minilm-l6": f"{Q}\n",
    "roberta-base": f"{Q}\n",
    "rubert-tiny": f"{Q}\n",
    "tinyllama-1.1b-chat": f"### Question: {Q}\n\n### Answer:",
    "llama-2-7b": f"### Instruction:\n{Q}\n\n### Response:",
    "mistral-7b-v0.1": f"### Instruction:\n{Q}\n\n### Response:",
}


def test_every_card_is_looked_at():
    assert CHATS.keys() | PLAINS.keys() == CARDS.keys()


@pytest.mark.parametrize("name", CHATS)
def test_a_card_s_chat_is_its_template_s(name):
    card, expected = load_model_card(CARDS[name]), CHATS[name]
    shipped = TEMPLATES.get(expected.template)
    text = shipped.read_text("utf-8") if shipped else FAMILIES[expected.template].text
    tokenizer = tokenizer_with(text)
    encoder = Encoder(card, tokenizer)
    (row,) = encoder.rows([PLAIN])
    assert card.prompt == "chat"
    assert tokenizer.decode(row.prompt_ids).endswith(expected.prompt)
    assert tokenizer.decode(row.completion_ids) == expected.completion
    assert row.notices == set()


@pytest.mark.parametrize("name", PLAINS)
def test_a_card_without_a_template_asks_in_plain_text(name):
    card = load_model_card(CARDS[name])
    assert render(card, PLAIN).endswith(PLAINS[name])
