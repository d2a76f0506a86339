"""Chats in the shapes that people have them: OpenAI's, ShareGPT's and TRL's, to turns.

In: `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}`,
or `from`/`value` in place of `role`/`content`. The trap: everything that a chat may hold and we do
not render (tool calls, images, reasoning kept apart) would vanish without a word; it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from harness.datasets.example import Turn
from harness.datasets.values import whole
from harness.errors import HarnessError

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant",
}  # fmt: skip
"""Names of roles (OpenAI, ShareGPT, Gemma) → ours."""
TEXT_PARTS = ("text", "input_text", "output_text")
"""Types of parts of a message that are text (transformers, OpenAI)."""
NOT_READ = (
    "tool_calls", "function_call", "tool_call_id", "reasoning_content", "reasoning", "thinking",
    "audio", "image", "images",
)  # fmt: skip
"""Keys of a message that change what is said and that are not rendered."""
ROW_KEYS = ("tools", "functions", "images", "image", "videos", "audio", "chat_template_kwargs")
"""Keys of a chat row beside its messages, likewise."""


class Message(NamedTuple):
    """One message as it was written, its role in our words."""

    role: str
    content: str


class Chat(NamedTuple):
    """A chat cut at its final assistant turn."""

    system: str | None
    history: tuple[Turn, ...]
    prompt: str
    reference: str


def is_messages(value: object) -> bool:
    """Whether ``value`` is a list of messages rather than of texts."""
    return isinstance(value, list) and bool(value) and all(_has_role(item) for item in value)


def _has_role(item: object) -> bool:
    return isinstance(item, dict) and ("role" in item or "from" in item)


def read_messages(value: object, place: str) -> list[Message]:
    """The messages in ``value``: a list, or the JSON text of one as a CSV cell holds it.

    Raises:
        HarnessError: it is none, or a message holds what is not rendered.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            hint = "Write a list of objects with `role` and `content`."
            raise HarnessError(
                "text, where messages are expected", where=place, hint=hint
            ) from None
    if not isinstance(value, list) or not value or not all(map(_has_role, value)):
        hint = "A message is an object with `role` and `content` (or ShareGPT's `from`, `value`)."
        raise HarnessError("not a list of messages", where=place, hint=hint)
    return [_message(item, number, place) for number, item in enumerate(value, start=1)]


def _message(item: Mapping[str, object], number: int, place: str) -> Message:
    named = str(item.get("role", item.get("from")))
    role = ROLES.get(named.strip().lower())
    if role is None:
        raise HarnessError(
            f'message {number} is by "{named}"',
            where=place,
            hint="Only system, user and assistant turns can be used; remove rows with tools.",
        )
    for key in NOT_READ:
        if item.get(key):
            hint = "Write it into `content` as your template has it, or remove the row."
            raise HarnessError(
                f"message {number} has `{key}`, which is not rendered", where=place, hint=hint
            )
    content = item.get("content", item.get("value"))
    if role == "assistant" and item.get("weight") in (0, "0", False):
        role = "unlearned"
    return Message(role, whole(_text(content, number, place), f"message {number}", place))


def _text(content: object, number: int, place: str) -> str:
    if content is None or isinstance(content, str):
        return (content or "").strip()
    if isinstance(content, list):
        # Templates put text parts one after another; a separator of ours would be a guess.
        return "".join(_part(part, number, place) for part in content).strip()
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    kind = "an object" if isinstance(content, dict) else type(content).__name__
    hint = "Content is a text, or a list of text parts."
    raise HarnessError(f"message {number} holds {kind}", where=place, hint=hint)


def _part(part: object, number: int, place: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS:
        text = part.get("text")
        if isinstance(text, str):
            return text
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    hint = "Only text parts can be used; remove rows with images, sound or files."
    raise HarnessError(f"message {number} has a part of type {kind}", where=place, hint=hint)


def cut(messages: list[Message], place: str) -> Chat:
    """``messages`` as a prompt with its history, and the final assistant turn as the reference.

    Raises:
        HarnessError: the chat does not end with a user turn and its answer.
    """
    system = None
    if messages[0].role == "system":
        system, messages = messages[0].content or None, messages[1:]
    if any(message.role == "system" for message in messages):
        hint = "Move the system message to the beginning of the chat."
        raise HarnessError("a system message in the middle of a chat", where=place, hint=hint)
    if not messages or messages[-1].role not in ("assistant", "unlearned"):
        hint = "The last message is the answer to learn; cut the chat after an assistant turn."
        raise HarnessError("the chat does not end with an assistant turn", where=place, hint=hint)
    if messages[-1].role == "unlearned":
        hint = "Cut the chat after a turn that is to be learned, or delete its `weight: 0`."
        raise HarnessError("the final assistant turn has weight 0", where=place, hint=hint)
    if len(messages) < 2 or messages[-2].role != "user":
        hint = "The turn before the final answer is the user's: join or delete other turns."
        raise HarnessError("no user turn before the final answer", where=place, hint=hint)
    history = tuple(
        Turn("user" if message.role == "user" else "assistant", message.content)
        for message in messages[:-2]
    )
    for number, turn in enumerate(history, start=1):
        if not turn.content:
            hint = "Fill it, or remove the row."
            raise HarnessError(f"turn {number} of the chat is empty", where=place, hint=hint)
    return Chat(system, history, messages[-2].content, messages[-1].content)


def history_of_pairs(value: object, place: str) -> tuple[Turn, ...]:
    """Earlier turns as LLaMA-Factory's Alpaca rows have them: `[[question, answer], …]`.

    Raises:
        HarnessError: ``value`` is something else.
    """
    if value is None or value == [] or value == "":
        return ()
    turns: list[Turn] = []
    for pair in value if isinstance(value, list) else [None]:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(t, str) for t in pair)
        ):
            hint = "Write [[question, answer], …], or the whole chat as `messages`."
            raise HarnessError("`history` is not a list of pairs of texts", where=place, hint=hint)
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return tuple(turns)
