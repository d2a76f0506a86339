"""A suite's generation settings as the keys of a request, and the answer read from a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.errors import HarnessError
from harness.suite.endpoint import Endpoint

SENT = {
    "max_new_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_strings": "stop",
}
"""Key of a suite's `generation` → the request's key that means the same on every server."""
MOST_NAME = 200
"""Characters kept of a name that a server gives itself; a table shows it."""
MOST_TOKENS = 10**12
"""Of one answer; a server that says more, or less than none, has not counted."""
LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the limit of new tokens: OpenAI's reasoning models take the second alone."""


def sampling(generation: Mapping[str, Any], endpoint: Endpoint, *, seed: int) -> dict[str, Any]:
    """The keys of a request that decide how an answer is generated; greedy unless `do_sample`.

    Raises:
        HarnessError: a key has no meaning that every server shares: it would be left out without a
            word, or change the answers of some servers alone.
    """
    asked = {key: value for key, value in generation.items() if value is not None}
    sampled = bool(asked.pop("do_sample", False))
    extra = endpoint.extra_body
    unsent = sorted(key for key in asked if key not in SENT and key not in extra)
    if unsent:
        raise HarnessError(
            f"generation: {', '.join(unsent)} cannot be sent to an OpenAI-compatible server",
            hint="Add what your server calls it to `endpoint.extra_body` under the same name, or"
            " set it to null under the model's `generation`.",
        )
    keys = {SENT[key]: value for key, value in asked.items() if key in SENT}
    if sampled:
        keys["seed"] = seed  # servers that know no seed ignore it
    else:
        # a temperature of a suite's sampling must not make greedy answers random
        keys.pop("top_p", None)
        keys["temperature"] = 0
    if any(limit in extra for limit in LIMITS):
        keys.pop("max_tokens", None)
    return {**keys, **extra}


class Usage(BaseModel):
    """The tokens that a server counted; None where its number counts nothing."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @field_validator("prompt_tokens", "completion_tokens")
    @classmethod
    def _counted(cls, number: int | None) -> int | None:
        return number if number is not None and 0 <= number <= MOST_TOKENS else None


class _Message(BaseModel):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """vLLM's name for the same since 0.11."""


class _Choice(BaseModel):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Reply(BaseModel):
    """The part of a reply that is read; servers add fields of their own."""

    model_config = ConfigDict(extra="ignore")

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Usage | None = None


class Reply(BaseModel):
    """An answer, and what the server says of itself."""

    model_config = ConfigDict(frozen=True)

    text: str
    """Without spaces around it, as a local model's answers are."""
    finish_reason: str
    """`stop`, `length` (cut at the limit), another word of the server's, or `unknown`."""
    model: str = ""
    """The model by the server's own name."""
    fingerprint: str = ""
    """Its `system_fingerprint`; empty where it has none."""
    prompt_tokens: int | None = None
    new_tokens: int | None = None

    @property
    def server(self) -> tuple[str, str]:
        """What the server says it is."""
        return self.model, self.fingerprint


def server_name(model: str, fingerprint: str) -> str:
    """What a server says it is, as one text; empty where it says nothing."""
    return " ".join(filter(None, (model, fingerprint)))


def read_reply(content: object) -> Reply:
    """The answer in a server's JSON.

    Raises:
        HarnessError: it holds none.
    """
    try:
        found = _Reply.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "reply"
        hint = "The server must speak OpenAI's API: /chat/completions or /completions."
        raise HarnessError(
            f"its reply holds no answer: {place}: {first['msg']}", hint=hint
        ) from None
    choice, usage = found.choices[0], found.usage or Usage()
    return Reply(
        text=_written(_text(choice)).strip(),
        finish_reason=_written(choice.finish_reason or "unknown")[:MOST_NAME],
        model=_written(found.model or "")[:MOST_NAME],
        fingerprint=_written(found.system_fingerprint or "")[:MOST_NAME],
        prompt_tokens=usage.prompt_tokens,
        new_tokens=usage.completion_tokens,
    )


def _written(text: str) -> str:
    """``text`` as a UTF-8 file can hold it: JSON may name half of a character."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text(choice: _Choice) -> str:
    """The answer with its reasoning before it, in the marks that local models write."""
    if choice.message is None:
        return choice.text or ""
    thoughts = choice.message.reasoning_content or choice.message.reasoning
    answer = choice.message.content or ""
    return f"<think>\n{thoughts}\n</think>\n\n{answer}" if thoughts else answer
