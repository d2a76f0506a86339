"""What a suite and a model card may give a chat template: variables, and the date it prints."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator

DEFAULT_TEMPLATE_DATE = date(2025, 1, 1)
"""What a chat template that prints today's date is given. Any fixed day does: with the real one,
tomorrow's run would ask another question than today's."""
RENDERER_ARGUMENTS = frozenset(
    {
        "conversation", "messages", "tools", "documents", "chat_template", "tokenize",
        "add_generation_prompt", "continue_final_message", "sanitize_control_tokens", "padding",
        "truncation", "max_length", "return_tensors", "return_dict",
        "return_assistant_tokens_mask", "tokenizer_kwargs",
    }
)  # fmt: skip
"""`apply_chat_template`'s own arguments, which the harness sets."""


def _only_variables(kwargs: dict[str, object]) -> dict[str, object]:
    for key in kwargs:
        if key in RENDERER_ARGUMENTS:
            raise ValueError(f"`{key}` is set by the harness; delete it")
    return kwargs


TemplateKwargs = Annotated[dict[str, Any], AfterValidator(_only_variables)]
"""Variables of a chat template, without the arguments that the harness itself gives."""
