"""Examples to prompt text: the messages of a chat, and every style without a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, Literal, NamedTuple

from jinja2 import TemplateError

from harness.backends.template_limits import MOST_CHARACTERS, limited, over_limit
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard
from harness.suite.prompt_styles import TEMPLATES

RAISED = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What a template's own code can raise while it renders."""
NOTICES = {
    "rows_end_added": "training rows end in a token that the harness added, because the chat"
    " template does not end an assistant's turn",
    "rows_with_control_text": "training rows quote control tokens, which are encoded as plain"
    " characters",
    "rows_changed_by_template": "training rows have another answer than the data set, because the"
    " chat template rewrites it",
}
"""Count of the audit → its meaning, for counts that are never an error."""


class Message(NamedTuple):
    """One turn as a chat template gets it."""

    role: Literal["system", "user", "assistant"]
    content: str


def render(card: ModelCard, example: Example, style: str | None = None) -> str:
    """The prompt text of ``example`` in ``style`` (default ``card``'s); not for `chat`.

    Raises:
        HarnessError: the card's template is not valid Jinja or names what is not there, or the
            example has earlier turns that the style has no place for.
    """
    style = style or card.prompt or "plain"
    text = card.template if style == "template" else TEMPLATES[style]
    if not text:
        hint = "Write `template:` in the model card, or choose another `prompt` style."
        raise HarnessError(
            f'model "{card.name}": prompt style `template` needs a template', hint=hint
        )
    _check_room(card, example, text)
    name = f'model "{card.name}": its template'
    try:
        with limited(name) if style == "template" else nullcontext():
            rendered: str = _compiled(text).render(
                prompt=example.prompt,
                context=example.context,
                system=system_of(card, example),
                history=[{"role": turn.role, "content": turn.content} for turn in example.history],
            )
    except RAISED as error:
        raise HarnessError(f"{name} raises: {error}") from None
    if len(rendered) > MOST_CHARACTERS:
        raise over_limit(name)
    return rendered


def messages(card: ModelCard, example: Example) -> list[Message]:
    """The chat of ``example``: the system message if any, earlier turns, the user's last."""
    user = f"{example.prompt}\n\n{example.context}" if example.context else example.prompt
    system = system_of(card, example)
    return [
        *([Message("system", system)] if system else []),
        *(Message(turn.role, turn.content) for turn in example.history),
        Message("user", user),
    ]


def asked(examples: Sequence[Example], labels: Sequence[str]) -> list[Example]:
    """``examples`` with the question for their label after the text."""
    choices = ", ".join(labels)
    return [
        replace(e, prompt=f"{e.prompt}\n\nWhich of these is the text: {choices}?") for e in examples
    ]


def system_of(card: ModelCard, example: Example) -> str:
    """The row's own system message where it has one, else the card's; empty for none."""
    return (card.system or "") if example.system is None else example.system


def _check_room(card: ModelCard, example: Example, text: str) -> None:
    """Refuse a row with earlier turns or a system message that ``text`` would leave out."""
    for name, held in (("history", example.history), ("system", system_of(card, example))):
        if held and name not in text:
            what = "earlier turns" if name == "history" else "a system message"
            raise HarnessError(
                f'model "{card.name}": its prompt style leaves out {what} of the row'
                f" {example.prompt[:60]!r}",
                hint=f"Use `prompt: chat`, or a `template` that reads `{name}`.",
            )


@cache
def _compiled(text: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string(text)
