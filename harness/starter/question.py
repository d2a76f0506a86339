"""A question that a data file leaves open: asked on a terminal, else its default, else an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import HarnessError


@dataclass(frozen=True)
class Question:
    """What only the owner of the data knows."""

    text: str
    """The question, such as "Which column holds the answer"."""
    flag: str
    """The command's option that answers it beforehand."""
    choices: tuple[str, ...] = ()
    """The answers there are; empty: any text."""
    default: str | None = None
    """The safe answer, where there is one."""
    why: str = ""
    """What was found, shown with the question and in the error."""


Ask = Callable[[Question], str]
"""Puts a question to a person and gives the answer, one of the choices if there are any."""


def settled(question: Question, ask: Ask | None) -> str:
    """The answer of a person, or the default.

    Raises:
        HarnessError: nobody can be asked, and there is no safe default.
    """
    if ask is not None:
        return ask(question)
    if question.default is not None:
        return question.default
    listed = f" ({', '.join(question.choices)})" if question.choices else ""
    what = f"{question.why}: {question.text[:1].lower()}{question.text[1:]}?{listed}"
    raise HarnessError(what.removeprefix(": "), hint=f"Say so by {question.flag}.")
