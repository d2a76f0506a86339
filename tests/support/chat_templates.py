"""Chat templates to render: those that TRL ships, and small ones that reproduce turn formats."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import trl
from transformers import AutoTokenizer

from harness.datasets.example import Example

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
MARKERS = re.compile(r"<\|[^<>\s'\"{}]+>|<｜[^<>\s]+?｜>|<[a-z_]+\|>|<(?:start|end)_of_\w+>|</?s>")

PLAIN = Example("1", "What is a bond?", "A loan that can be traded.")


def tokenizer_with(text):
    """The tiny model's tokenizer under the template ``text``, its markers as special tokens."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models" / "tiny" / "tiny-qwen2")
    tokenizer.add_tokens(["<think>", "</think>"])
    always = {"<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>"}
    markers = sorted(set(MARKERS.findall(text)) | always)
    tokenizer.add_special_tokens(
        {"bos_token": "<s>", "eos_token": "</s>", "extra_special_tokens": markers}
    )
    tokenizer.chat_template = text
    return tokenizer


@dataclass(frozen=True)
class Family:
    """A turn format in its smallest form, and what must come out for `PLAIN`."""

    text: str
    prompt: str
    completion: str
    end: str
    stops: bool = True
    card: dict = field(default_factory=dict)
    notices: frozenset = frozenset()


def turns(body, prompt):
    return f"{{% for m in messages %}}{body}{{% endfor %}}{{% if add_generation_prompt %}}{prompt}{{% endif %}}"


Q, A = PLAIN.prompt, PLAIN.reference
THINK = (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
FAMILIES = {
    "ChatML": Family(
        turns("<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n", "<|im_start|>assistant\n"),
        f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n", f"{A}<|im_end|>\n",
        "<|im_end|>",
    ),
    "instruction brackets": Family(
        "{{ bos_token }}" + turns(
            "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
            "{% else %} {{ m.content }}{{ eos_token }}{% endif %}", ""),
        f"<s>[INST] {Q} [/INST]", f" {A}</s>", "</s>",
    ),
    "turns that end in eos, with a line break": Family(
        turns("<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n", "<|assistant|>\n"),
        f"<|user|>\n{Q}</s>\n<|assistant|>\n", f"{A}</s>\n", "</s>",
    ),
    "an end of its own and then eos": Family(
        turns("<|{{ m.role }}|>\n{{ m.content }}<|end|>\n", "<|assistant|>\n")
        + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}",
        f"<|user|>\n{Q}<|end|>\n<|assistant|>\n", f"{A}<|end|>\n</s>", "<|end|>",
    ),
    "a closed think block before the answer": Family(
        turns(
            "<|im_start|>{{ m.role }}\n"
            "{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
            "{{ m.content }}<|im_end|>\n", "<|im_start|>assistant\n" + THINK),
        f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n",
        f"<think>\n\n</think>\n\n{A}<|im_end|>\n", "<|im_end|>",
    ),
    "the same, closed in the prompt": Family(
        turns(
            "<|im_start|>{{ m.role }}\n"
            "{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
            "{{ m.content }}<|im_end|>\n", "<|im_start|>assistant\n" + THINK),
        f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        f"{A}<|im_end|>\n", "<|im_end|>",
        card={"template_kwargs": {"enable_thinking": False}},
    ),
    "a think block that the prompt opens": Family(
        turns("<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}",
              "<|assistant|><think>\n"),
        f"<|user|>{Q}<|assistant|><think>\n", f"\n</think>\n\n{A}</s>", "</s>",
    ),
    "a channel": Family(
        turns(
            "<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}"
            "<|message|>{{ m.content }}"
            "{% if m.role == 'assistant' and loop.last %}<|return|>{% else %}<|end|>{% endif %}",
            "<|start|>assistant"),
        f"<|start|>user<|message|>{Q}<|end|><|start|>assistant",
        f"<|channel|>final<|message|>{A}<|return|>", "<|return|>",
    ),
    "no end but the next speaker": Family(
        turns("<|{{ m.role }}|>\n{{ m.content }}", "<|assistant|>\n"),
        f"<|user|>\n{Q}<|assistant|>\n", f"{A}<|user|>", "<|user|>",
        notices=frozenset({"rows_end_added"}),
    ),
    "plain words": Family(
        turns("{{ m.role | upper }}: {{ m.content }}\n", "ASSISTANT:"),
        f"USER: {Q}\nASSISTANT:", f" {A}\n</s>", "</s>", stops=False,
        notices=frozenset({"rows_end_added"}),
    ),
}  # fmt: skip
