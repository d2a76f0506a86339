"""What a page knows of its question: who stands where, what was answered, and the vote on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.counting import counted
from harness.demo.models import Answer, Pair
from harness.results.result import CellResult
from harness.results.votes import Choice, Side, Vote, turned

BUTTONS = ("A is better", "B is better", "Tie", "Both are bad")
"""As they stand below the answers, A on the left."""
_OF_LEFT: dict[str, Choice] = dict(
    zip(BUTTONS, ("first", "second", "tie", "both bad"), strict=True)
)
"""Button → the choice, where the first variant stands on the left."""


@dataclass(frozen=True)
class Round:
    """One question to two variants. ``left`` says whose answer stands on the left."""

    question: str
    example: str | None
    first: CellResult
    second: CellResult
    blind: bool
    left: Side
    answers: Pair = field(default_factory=Pair)

    @property
    def is_complete(self) -> bool:
        """Whether both have answered to the end."""
        return all(answer.finish_reason is not None for answer in self.answers)

    def sides(self) -> tuple[Answer, Answer]:
        """The left answer and the right one."""
        first, second = self.answers
        return (first, second) if self.left == "first" else (second, first)

    def cells(self) -> tuple[CellResult, CellResult]:
        """The left cell and the right one."""
        return (self.first, self.second) if self.left == "first" else (self.second, self.first)

    def vote(self, button: str) -> Vote:
        """What pressing ``button`` says of the two variants."""
        choice = _OF_LEFT[button]
        return Vote(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            question=self.question,
            example=self.example,
            first=self.first.key,
            second=self.second.key,
            first_answer=self.answers.first.text,
            second_answer=self.answers.second.text,
            choice=choice if self.left == "first" else turned(choice),
            blind=self.blind,
            left=self.left,
        )


def shuffled(blind: bool) -> Side:
    """Whose answer stands on the left: by chance where names are hidden, else the first's."""
    # not seeded: who has seen one round must not know the next
    return random.SystemRandom().choice(("first", "second")) if blind else "first"


def facts(answer: Answer, *, blind: bool) -> str:
    """Counts and speed below an answer; in a blind round they would tell the variants apart."""
    if blind or answer.finish_reason is None:
        return ""
    parts = [counted(answer.new_tokens, "token")]
    if answer.tokens_per_s is not None:
        parts.append(f"{answer.tokens_per_s:.3g} tokens/s")
    parts.append(f"first after {answer.first_seconds:.2g} s")
    if answer.finish_reason == "length":
        parts.append("cut at <code>max_new_tokens</code>")
    return " · ".join(parts)
