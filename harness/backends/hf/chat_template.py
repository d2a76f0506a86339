"""A model's chat template: what it needs, how it ends a turn, and chats rendered by it.

What a template does is found by rendering a short probe, not by knowing its name: whether it takes
a system message, wants content as a list of parts, opens a think block for the answer, and which
token ends an assistant's turn.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import takewhile
from typing import Any

from transformers import PreTrainedTokenizerBase

from harness.backends.prompting import RAISED, Message
from harness.backends.template_clock import CLOCK, stopped_clock
from harness.backends.template_limits import MOST_CHARACTERS, OverLimit, limited, over_limit
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

ASKED, ANSWERED, SYSTEM = "probequestion", "probeanswer", "probesystem"
"""Words that no template writes itself."""
OPEN_THINKING, CLOSED_THINKING = "<think>", "</think>"
CLOSE_THINKING = "\n</think>\n\n"
"""How Qwen3 and DeepSeek-R1 close a block that holds nothing."""
_THINKING_ALONE = re.compile(r"(\s|</?think>)*")
"""All that may stand between a prompt that the whole chat does not repeat and its answer."""


@dataclass(frozen=True)
class ChatTemplate:
    """The template of one model, with the card's variables and date, and what it turned out to do.

    ``tokenizer`` renders; ``text`` is what it renders.
    """

    model: str
    tokenizer: PreTrainedTokenizerBase
    text: str
    kwargs: dict[str, object]
    date: date | None
    """The date that the template prints; None where it reads no clock."""
    in_parts: bool = False
    """Whether content is given as a list of parts."""
    takes_system: bool = True
    """Whether it renders a system message; else that is put before the first user turn."""
    tail: str = ""
    """What the prompt ends in and the whole chat leaves out: an open think block, as a rule."""
    end: int | None = None
    """The token that ends an assistant's turn; None where the template writes plain text there."""
    end_is_rendered: bool = True
    """Whether the last turn's rendering holds `end`; else it is what the next turn begins with."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """``messages`` up to where the assistant answers."""
        return self._rendered(messages, prompting=True)

    def answer(self, messages: Sequence[Message], prompt: str, reference: str) -> str:
        """What the template puts after ``prompt`` in the chat that ends in ``reference``.

        Raises:
            HarnessError: the chat does not begin as its prompt does.
        """
        chat = [*messages, Message("assistant", reference)]
        whole = self._rendered(chat, prompting=False)
        shared = prompt if whole.startswith(prompt) else prompt.removesuffix(self.tail)
        if not whole.startswith(shared):
            raise self.differs(prompt, whole)
        rest = whole[len(shared) :]
        if not self.opens_thinking(prompt) or CLOSED_THINKING in rest:
            return rest
        # the template drops the reasoning of a finished answer, so the open block is closed here
        return _thoughts(reference) + CLOSE_THINKING + rest.lstrip("\n")

    @staticmethod
    def opens_thinking(prompt: str) -> bool:
        """Whether ``prompt`` leaves a think block open, so that an answer begins inside it."""
        return prompt.rfind(OPEN_THINKING) > prompt.rfind(CLOSED_THINKING)

    def differs(self, prompt: str, whole: str) -> HarnessError:
        """Why ``prompt`` cannot begin a training row: ``whole`` begins differently."""
        at = _shared(prompt, whole)
        return HarnessError(
            f'model "{self.model}": its chat template renders a prompt differently once an'
            f" answer follows: {prompt[at : at + 40]!r} becomes {whole[at : at + 40]!r}",
            hint="Set `template_kwargs` in the model card, or another `prompt` style.",
        )

    def hash(self) -> str:
        """Sixteen hex digits over text, variables and date."""
        parts = [self.text, self.kwargs, str(self.date)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, object]:
        """For the result: the hash, and what the template was given and needed."""
        found: dict[str, object] = {"template_hash": self.hash(), "template_kwargs": self.kwargs}
        if self.date:
            found["template_date"] = str(self.date)
        if self.in_parts:
            found["content"] = "a list of parts"
        if not self.takes_system:
            found["system"] = "put before the first user turn: the template has no system message"
        return found

    def _rendered(self, messages: Sequence[Message], *, prompting: bool) -> str:
        turns = messages if self.takes_system else merged_system(messages)
        try:
            with limited(self._name):
                text: str = self.tokenizer.apply_chat_template(
                    [self._turn(message) for message in turns],
                    chat_template=self._dated(),
                    tokenize=False,
                    add_generation_prompt=prompting,
                    **self.kwargs,
                )
        except RAISED as error:
            raise HarnessError(
                f'model "{self.model}": its chat template raises: {_reason(error)}',
                hint="Correct the rows or `template_kwargs`, or set another `prompt` style in"
                " the model card.",
            ) from None
        if len(text) > MOST_CHARACTERS:
            raise over_limit(self._name)
        return text

    @property
    def _name(self) -> str:
        return f'model "{self.model}": its chat template'

    def _turn(self, message: Message) -> dict[str, object]:
        content: Any = message.content
        if self.in_parts:
            content = [{"type": "text", "text": content}]
        return {"role": message.role, "content": content}

    def _dated(self) -> str:
        """The template with its clock stopped at `date`."""
        return stopped_clock(self.date) + self.text


def chat_template(card: ModelCard, tokenizer: PreTrainedTokenizerBase) -> ChatTemplate:
    """The chat template of ``tokenizer`` as ``card`` has it rendered, probed.

    Raises:
        HarnessError: there is none, it raises, or it does not read a variable of the card.
    """
    try:
        text: str = tokenizer.get_chat_template()
    except ValueError as error:  # no template, or several of which none is the default
        hint = "Set `prompt: plain`, `question-answer`, `alpaca` or `template` in the model card."
        reason = "its tokenizer has no chat template"
        if tokenizer.chat_template:
            reason = f"its tokenizer has no default chat template: {_reason(error)}"
        raise HarnessError(f'model "{card.name}": {reason}', hint=hint) from None
    for key in card.template_kwargs:
        if not re.search(rf"\b{re.escape(key)}\b", text):
            raise HarnessError(
                f'model "{card.name}": its chat template reads no `{key}`',
                hint=f"Delete `template_kwargs.{key}`, or correct its name.",
            )
    day = card.template_date if CLOCK in text else None
    plain = ChatTemplate(card.name, tokenizer, text, dict(card.template_kwargs), day)
    return _probed(plain)


def merged_system(messages: Sequence[Message]) -> list[Message]:
    """``messages`` with the system message put before the first user turn's text."""
    if not messages or messages[0].role != "system":
        return list(messages)
    system, rest = messages[0].content, list(messages[1:])
    for k, message in enumerate(rest):
        if message.role == "user":
            rest[k] = Message("user", f"{system}\n\n{message.content}")
            return rest
    return [Message("user", system), *rest]


def _probed(template: ChatTemplate) -> ChatTemplate:
    question, answer = Message("user", ASKED), Message("assistant", ANSWERED)
    template = _with_content(template, [question, answer])
    template = replace(template, takes_system=_takes_system(template, question))
    prompt = template.prompt([question])
    whole = template._rendered([question, answer], prompting=False)
    shared = _shared(prompt, whole)
    tail = prompt[shared:]
    if tail and not _THINKING_ALONE.fullmatch(whole[shared:].partition(ANSWERED)[0]):
        raise template.differs(prompt, whole)
    after = whole.partition(ANSWERED)[2]
    end = _first_control(template.tokenizer, after)
    if end is not None:
        return replace(template, tail=tail, end=end)
    try:  # GLM ends no turn: the next speaker's token ends it
        longer = template._rendered([question, answer, Message("user", ASKED)], prompting=True)
    except OverLimit:
        raise
    except HarnessError:
        longer = ""
    end = _first_control(template.tokenizer, longer.partition(ANSWERED)[2])
    return replace(template, tail=tail, end=end, end_is_rendered=False)


def _with_content(template: ChatTemplate, chat: Sequence[Message]) -> ChatTemplate:
    """``template`` with content as text, or as a list of parts where text is refused or lost."""
    first: HarnessError | None = None
    for in_parts in (False, True):
        tried = replace(template, in_parts=in_parts)
        try:
            text = tried._rendered(chat, prompting=False)
        except OverLimit:
            raise
        except HarnessError as error:
            first = first or error
            continue
        if ASKED in text and ANSWERED in text:
            return tried
    raise first or HarnessError(
        f'model "{template.model}": its chat template leaves out the text of a turn',
        hint="Set another `prompt` style in the model card.",
    )


def _takes_system(template: ChatTemplate, question: Message) -> bool:
    try:
        return SYSTEM in template.prompt([Message("system", SYSTEM), question])
    except OverLimit:
        raise
    except HarnessError:
        return False


def _first_control(tokenizer: PreTrainedTokenizerBase, text: str) -> int | None:
    """The first special or added token in ``text``."""
    control = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids if text else []
    return next((token for token in ids if token in control), None)


def _thoughts(reference: str) -> str:
    """The reasoning that ``reference`` itself brings; most bring none."""
    thoughts, closed, _ = reference.partition(CLOSED_THINKING)
    return thoughts.removeprefix(OPEN_THINKING).strip("\n") if closed else ""


def _shared(one: str, other: str) -> int:
    """How many characters both texts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
