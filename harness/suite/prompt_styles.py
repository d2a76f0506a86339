"""The texts of the prompt styles that are not a tokenizer's chat template."""

from __future__ import annotations

import hashlib

TEMPLATES = {
    "question-answer": (
        "{% if system %}{{ system }}\n\n{% endif %}"
        "### Question: {{ prompt }}{% if context %}\n{{ context }}{% endif %}\n\n### Answer:"
    ),
    "alpaca": (
        "{% if system %}{{ system }}\n\n{% endif %}"
        "Below is an instruction that describes a task"
        "{% if context %}, paired with an input that provides further context{% endif %}."
        " Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{{ prompt }}\n\n"
        "{% if context %}### Input:\n{{ context }}\n\n{% endif %}### Response:"
    ),
    "plain": (
        "{% if system %}{{ system }}\n\n{% endif %}"
        "{{ prompt }}{% if context %}\n{{ context }}{% endif %}\n"
    ),
}
"""`alpaca` is the format published with Stanford Alpaca (2023)."""


def style_hash(style: str | None) -> str:
    """A hash of the text of ``style``: an edited text is another prompt.

    Empty for `chat` and `template`, whose texts are hashed with the model and its card. Without a
    style it is the text of `plain`, which serves models that have no chat template.
    """
    text = TEMPLATES.get(style or "plain", "")
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""
