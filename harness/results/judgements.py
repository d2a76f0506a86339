"""``judge/`` of a run: a judge's verdicts, one line for each pair of answers, and how it was asked.

The verdicts hold no text of the data, so they may be shown where it may not. What the judge wrote
is kept beside them in ``words.jsonl``, for you to read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.datasets.example import digest
from harness.metrics.prediction import Prediction
from harness.results.answers import write_predictions
from harness.results.paths import bytes_in, write_json
from harness.results.reading import damaged_field, read_rows
from harness.results.records import CHECKED

FOLDER, VERDICTS, RECORD, WORDS = "judge", "verdicts.jsonl", "judge.json", "words.jsonl"
AGAIN = "`harness judge` writes it anew; what was answered is in the answer cache."
Side = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Judgement:
    """A judge's verdicts on two answers to an example."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    dataset: str
    first: str
    """The key of the reference's cell."""
    second: str
    """The key of the cell that is compared with it."""
    id: str
    """The example's."""
    first_answer: str
    """A hash of the answer: a verdict on another one does not count."""
    second_answer: str
    longer: int
    """1 if the second answer is the longer one, -1 if the first is, 0 if neither."""
    forward: Side | None = None
    """The verdict with the first answer shown first; None if there is none."""
    backward: Side | None = None
    """The verdict with the second answer shown first."""
    failure: str | None = None
    """Why a verdict is missing: `no verdict`, `cut`, or `error`."""

    @property
    def is_same(self) -> bool:
        """Whether both answers are the same text, so that nobody was asked."""
        return self.first_answer == self.second_answer

    @property
    def outcome(self) -> Side | None:
        """Who won: both ways round alike, else it is a tie; None if a verdict is missing."""
        if self.is_same:
            return "tie"
        if self.forward is None or self.backward is None:
            return None
        return self.forward if self.forward == self.backward else "tie"

    @property
    def is_inconsistent(self) -> bool:
        """Whether the verdict depends on the order of the answers."""
        return None not in (self.forward, self.backward) and self.forward != self.backward


@dataclass(frozen=True)
class HumanVerdict:
    """A person's verdict on two answers to an example."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    first: str
    second: str
    id: str
    verdict: Side


@dataclass(frozen=True)
class JudgeRecord:
    """How a judge was asked, and what it took."""

    __pydantic_config__: ClassVar[ConfigDict] = CHECKED

    settings: dict[str, Any] = field(default_factory=dict)
    """The suite's `judge`, without address and key's name."""
    servers: list[dict[str, str | int]] = field(default_factory=list)
    """What the judge's server said it was → answers."""
    asked: int = 0
    """Requests that were answered now."""
    from_cache: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    """Tokens of all verdicts, cached ones included."""
    asked_prompt_tokens: int = 0
    asked_new_tokens: int = 0
    """Tokens of the requests that were answered now."""
    failures: dict[str, int] = field(default_factory=dict)
    """Why verdicts are missing → how many pairs."""
    notes: list[str] = field(default_factory=list)
    labels: list[HumanVerdict] = field(default_factory=list)
    """People's verdicts on the same pairs."""
    schema: int = 1


@dataclass(frozen=True)
class Judgements:
    """Everything that a judge left in a run."""

    record: JudgeRecord
    verdicts: tuple[Judgement, ...]


def answer_hash(record: Prediction) -> str:
    """A hash of an answer, the same in a run without texts."""
    return record.get("answer_hash") or digest(record["prediction"])


def write_judgements(
    run: Path, found: Judgements, words: list[dict[str, object]] | None = None
) -> None:
    """Write ``found`` into the directory ``run``; the record last, so that it means done."""
    folder = run / FOLDER
    (folder / RECORD).unlink(missing_ok=True)
    write_predictions(folder / VERDICTS, [asdict(verdict) for verdict in found.verdicts])
    if words is not None:
        write_predictions(folder / WORDS, words)
    write_json(folder / RECORD, asdict(found.record))


def read_judgements(run: Path) -> Judgements | None:
    """What a judge left in the directory ``run``; None if none has been asked.

    Raises:
        DamagedFile: a file of it is cut or edited.
    """
    path = run / FOLDER / RECORD
    content = bytes_in(path)
    if content is None:
        return None
    try:
        record = _record_type().validate_json(content)
    except ValidationError as error:
        raise damaged_field(path, error, hint=AGAIN) from None
    rows = read_rows(run / FOLDER / VERDICTS, _verdict_type(), hint=AGAIN)
    return Judgements(record, tuple(rows))


@cache
def _record_type() -> TypeAdapter[JudgeRecord]:
    return TypeAdapter(JudgeRecord)


@cache
def _verdict_type() -> TypeAdapter[list[Judgement]]:
    return TypeAdapter(list[Judgement])
