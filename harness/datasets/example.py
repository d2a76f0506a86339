"""An example and the splits of a data set: what every data set yields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.datasets.overlap import Overlap


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier turn of a chat."""

    role: Literal["user", "assistant"]
    content: str
    """Plain text: lists of parts are joined when a data set is read, images are refused."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a data set as the harness sees it.

    A chat row is cut at its final assistant turn: that turn is `reference`, the user's turn before
    it is `prompt`, everything earlier is `history`, and the row's own system message is `system`.
    """

    id: str
    """Stable identity: a hash of the content, the same in every cell and run."""
    prompt: str
    """What is asked: the instruction, question or text to classify; a chat's last user turn."""
    reference: str
    """The answer that is trained on and that a prediction is compared with; the label for
    classification."""
    context: str = ""
    """The optional `input` of an Alpaca row."""
    category: str | None = None
    """The row's category, for per-category scores."""
    group: str | None = None
    """Rows of one group never stand on both sides of a split."""
    gold: str | None = None
    """The gold number as a plain decimal string ("0.25", "-12"), where the answer is a number."""
    system: str | None = None
    """The row's own system message; where a row has one, it replaces the model card's."""
    history: tuple[Turn, ...] = ()
    """Earlier turns of a chat, oldest first. They are context: no loss and no score on them."""
    references: tuple[str, ...] = ()
    """Every accepted answer where a row has several; the first is `reference`, which is trained
    on. A prediction's score is the best over them. Empty where there is only one."""

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every answer that counts as right: one, or several."""
        return self.references or (self.reference,)

    @property
    def asked(self) -> str:
        """All that the model is asked, as one text: system, earlier turns, prompt, context."""
        return "\n".join(self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts of `asked`, one by one, without empty ones."""
        turns = (turn.content for turn in self.history)
        return tuple(part for part in (self.system, *turns, self.prompt, self.context) if part)

    @property
    def content_hash(self) -> str:
        """A hash of everything that a score of this example depends on."""
        parts = [self.prompt, self.context, self.reference, self.gold]
        return digest(*parts, *chat_parts(self.system, self.history), *self.references)


def chat_parts(system: str | None, history: tuple[Turn, ...]) -> list[str | None]:
    """What a hash of a chat row covers besides its last turns; nothing for a row that is none."""
    if not history and system is None:
        return []  # so rows without a chat keep the identity that earlier versions gave them
    return [system, *(part for turn in history for part in (turn.role, turn.content))]


@dataclass(frozen=True, slots=True)
class Splits:
    """Train and test examples, and an account of what was dropped on the way."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    counts: dict[str, int] = field(default_factory=dict)
    """Rows read, dropped (null, duplicate, too short), sampled, overlapping."""
    overlap: Overlap | None = None
    """Test prompts that are in training too, exactly or nearly, with their shares."""
    notes: tuple[str, ...] = ()
    """How the files were read, where that was settled by the file: its separator, its format."""


def digest(*parts: str | None) -> str:
    """Twelve hex digits of the SHA-256 of ``parts``, None as empty: of an example, its id."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).hexdigest()[:12]
