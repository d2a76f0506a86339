"""Examples to prompt text, for every style but the tokenizer's own chat template."""

from __future__ import annotations

from functools import cache
from typing import Any

from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

TEMPLATES = {
    "question-answer": (
        "### Question: {{ prompt }}{% if context %}\n{{ context }}{% endif %}\n\n### Answer:"
    ),
    "alpaca": (
        "Below is an instruction that describes a task"
        "{% if context %}, paired with an input that provides further context{% endif %}."
        " Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{{ prompt }}\n\n"
        "{% if context %}### Input:\n{{ context }}\n\n{% endif %}### Response:"
    ),
    "plain": "{{ prompt }}{% if context %}\n{{ context }}{% endif %}\n",
}
"""`alpaca` is the format published with Stanford Alpaca (2023)."""


def render(card: ModelCard, example: Example) -> str:
    """The prompt text of ``example`` in ``card``'s style; not for the `chat` style.

    Raises:
        HarnessError: the card's template is not valid Jinja or names what is not there.
    """
    text = card.template if card.prompt == "template" else TEMPLATES[card.prompt]
    if not text:
        hint = "Write `template:` in the model card, or choose another `prompt` style."
        raise HarnessError(f'model "{card.name}": prompt style `template` without one', hint=hint)
    from jinja2 import TemplateError

    try:
        rendered: str = _compiled(text).render(
            prompt=example.prompt, context=example.context, system=card.system or ""
        )
    except TemplateError as error:
        raise HarnessError(f'model "{card.name}": template: {error}') from None
    return rendered


def messages(card: ModelCard, example: Example) -> list[dict[str, str]]:
    """The chat messages of ``example``: the optional system message and the user's."""
    user = f"{example.prompt}\n\n{example.context}" if example.context else example.prompt
    system = [{"role": "system", "content": card.system}] if card.system else []
    return [*system, {"role": "user", "content": user}]


@cache
def _compiled(text: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string(text)
