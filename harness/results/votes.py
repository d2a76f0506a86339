"""``votes.jsonl`` of a run: which of two variants a person preferred, question by question.

The file is only ever appended to. It holds questions and answers, so it is in no packed run.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from filelock import FileLock
from pydantic import ConfigDict, TypeAdapter

from harness.results.paths import sync
from harness.results.reading import read_rows
from harness.results.records import CHECKED

Side = Literal["first", "second"]
Choice = Literal["first", "second", "tie", "both bad"]
VOTES = "votes.jsonl"
HINT = "Correct the line or delete it: each line is a vote of its own."


@dataclass(frozen=True)
class Vote:
    """One vote, as a line of the file."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    at: str
    """When, in UTC."""
    question: str
    example: str | None
    """The id of the test example that was asked; None: a question of the voter's own."""
    first: str
    """The key of one cell."""
    second: str
    """The key of the other."""
    first_answer: str
    second_answer: str
    choice: Choice
    blind: bool
    """Whether the names were hidden and the sides shuffled."""
    left: Side
    """Whose answer was shown first."""
    schema: int = 1


_TURNED: dict[Choice, Choice] = {"first": "second", "second": "first"}


def turned(choice: Choice) -> Choice:
    """``choice`` where the two variants change places; what prefers neither stays."""
    return _TURNED.get(choice, choice)


def append_vote(directory: Path, vote: Vote) -> None:
    """Add ``vote`` to the votes of the run in ``directory``; it is on the disk when this returns.

    Two pages that vote at once lose nothing: the file has a lock of its own, since the run's may be
    held for hours. A line that a crash has cut stays as it is; the next is a line of its own.
    """
    line = json.dumps(asdict(vote), ensure_ascii=False, sort_keys=True)
    path = directory / VOTES
    with FileLock(directory / f".{VOTES}.lock"), path.open("ab") as file:
        new = file.tell() == 0
        cut = not new and _last_byte(path) != b"\n"
        # a lone surrogate, which no UTF-8 file can hold, is written as its escape
        file.write(("\n" * cut + line + "\n").encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync(directory)


def read_votes(directory: Path) -> list[Vote]:
    """The votes of the run in ``directory``, oldest first; none where nobody has voted.

    Raises:
        DamagedFile: a line is cut or edited, with its number.
    """
    return read_rows(directory / VOTES, _votes_type(), hint=HINT)


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


@cache
def _votes_type() -> TypeAdapter[list[Vote]]:
    return TypeAdapter(list[Vote])
