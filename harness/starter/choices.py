"""The numbers of a first suite: sizes of the split, lengths, learning rate, epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.counting import counted
from harness.datasets.example import Example
from harness.datasets.split_sizes import TEST_SHARE
from harness.starter.answers import Answers
from harness.starter.data import Looked
from harness.starter.model import Chosen

MOST_TEST = 500
"""Test rows beyond which an interval shrinks too slowly for what each row costs in decoding."""
TINY_TRAIN, TINY_TEST = 64, 40
"""Rows with which seven cells of a tiny model take a minute or two on two cores."""
ROWS_A_TINY_LABEL = 6
"""Training rows for each label: with fewer, rare labels are likely to be tested alone."""
LEAST_FITTING = 20
"""Rows that a tiny model can hold, without which it has nothing to show."""
CHARS_A_TOKEN = {"en": 3.0, "ru": 1.8}
"""Careful figures for subword vocabularies of 30,000 and more: English text has about 4 a token."""
TINY_CHARS_A_TOKEN = {"en": 2.2, "ru": 2.0}
"""The same for the shipped vocabulary of 4,096."""
TEMPLATE_TOKENS = 32
"""What a chat template adds to a row of one turn."""
LENGTHS = (256, 512, 1024, 2048, 4096)
TINY_LENGTH, ENCODER_LENGTH = 512, 512
TINY_ROW = 300
"""Estimated tokens of a row up to which the tiny model is quick; its context holds 1,024."""
NEW_TOKENS = (16, 32, 64, 128, 256, 512)
TINY_NEW_TOKENS = 48


@dataclass(frozen=True)
class Sizes:
    """How many rows are on each side."""

    train: int | None
    """None: all rows that are not for testing."""
    test: int | None
    """None: all rows of a test file."""
    total: int

    @property
    def interval(self) -> float:
        """Half the 95% interval of a share near one half, in points."""
        return 98 / math.sqrt(self.test or self.total)


def sizes(total: int, *, own_test: bool) -> Sizes:
    """The split of ``total`` rows: a fifth for testing, or all of a test file."""
    test = min(MOST_TEST, max(1, int(total * TEST_SHARE)))
    return Sizes(None, None if own_test else test, total)


def tiny_sides(total: int, *, labels: int) -> Sizes:
    """The split of ``total`` rows for a tiny model: as few as show something."""
    test = min(TINY_TEST, max(1, total // 3))
    return Sizes(
        max(1, min(max(TINY_TRAIN, ROWS_A_TINY_LABEL * labels), total - test)), test, total
    )


@dataclass(frozen=True)
class Lengths:
    """Tokens of a training row and of an answer."""

    row: int
    answer: int
    covered: float
    """Estimated share of rows that fit."""


def lengths(looked: Looked, *, tiny: bool, encoder: bool) -> Lengths:
    """Lengths that hold 19 rows of 20, as far as the model can take."""
    rate = (TINY_CHARS_A_TOKEN if tiny else CHARS_A_TOKEN)[looked.language]
    rows = sorted(_tokens(example, rate) for example in looked.examples)
    answers = sorted(int(len(e.reference) / rate) + 2 for e in looked.examples)
    at = int(0.95 * (len(rows) - 1))
    most = TINY_LENGTH if tiny else ENCODER_LENGTH if encoder else LENGTHS[-1]
    row = min(most, next((n for n in LENGTHS if n >= rows[at]), LENGTHS[-1]))
    answer = next((n for n in NEW_TOKENS if n >= answers[at]), NEW_TOKENS[-1])
    covered = sum(tokens <= row for tokens in rows) / len(rows)
    return Lengths(row, min(answer, TINY_NEW_TOKENS) if tiny else answer, covered)


def fitting(looked: Looked) -> tuple[Example, ...]:
    """The rows that the tiny model can hold, in order."""
    rate = TINY_CHARS_A_TOKEN[looked.language]
    return tuple(e for e in looked.examples if _tokens(e, rate) <= TINY_ROW)


def _tokens(example: Example, rate: float) -> int:
    turns = 2 + len(example.history)
    text = len(example.asked) + len(example.reference)
    return int(text / rate) + TEMPLATE_TOKENS * turns // 2


@dataclass(frozen=True)
class Training:
    """Settings of training that depend on the data and the model."""

    learning_rate: str
    epochs: int
    why_rate: str
    why_epochs: str


def tiny_rate(answers: Answers) -> str:
    """The learning rate of a tiny model."""
    return "3e-3" if answers.kind == "labels" else "5e-3"


def training(rows: int, chosen: Chosen, answers: Answers) -> Training:
    """Epochs by the number of rows; a learning rate for LoRA by the model's kind."""
    if chosen.is_tiny:
        why = "Two passes are enough to see something"
        return Training(tiny_rate(answers), 2, "a model of 2 M parameters needs larger steps", why)
    epochs = 3 if rows < 2000 else 2 if rows < 20_000 else 1
    why = f"{counted(rows, 'training row', separated=True)}: the fewer, the more passes"
    if chosen.is_encoder:
        return Training("1e-3", epochs + 3, "usual for LoRA on an encoder", why)
    text = "usual for LoRA; below 1 B parameters 5e-4 is often better (sweep it: docs/data.md)"
    return Training("2e-4", epochs, text, why)
